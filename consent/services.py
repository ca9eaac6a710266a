"""The consent's state machine: pending, then approved, denied or expired; approved, then revoked, replaced or expired.

Every transition is one conditional UPDATE, and its row count tells whether it succeeded. The user's decision is in
`granting.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_noop

from accounts.services import lock_user
from agents.errors import InvalidRedirectUri
from agents.models import Agent
from agents.redirects import matches_registered
from agents.services import require_may_act
from audit.events import Event
from audit.services import append
from consent.connections import MAX_SCOPES
from consent.details import AuthorizationDetail, complete_details
from consent.errors import ConsentAlreadyDecided, InvalidAuthorizationDetails, OtherBrowser
from consent.models import Consent
from consent.records import details_for_log, draft_consent, record_consent
from consent.selectors import latest_of, scopes_within_reach
from consent.shown_services import describe_services
from consent.statuses import ConsentStatus, in_words
from consent.targets import TOO_LONG, are_too_long, pick_targets
from core import clock
from core.actor import SYSTEM, Actor
from core.browser import CONSENT_REQUEST_LIFETIME
from core.errors import FieldError, Invalid
from core.locks import revocation
from core.sweeps import BATCH, delete_batch, lock_batch
from core.wording import Filled
from limits.throttle import Throttle, address_subjects
from resources.audiences import CLAIMS_TOO_LONG, Audience, are_claims_too_long, owners_of, require_audiences
from resources.catalogue import describe_scopes, require_known, snapshot
from resources.errors import InvalidScope

UNDECIDED_CONSENT_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """A request for consent, as parsed by a surface. The agent can work without the `optional_scopes`."""

    scopes: Sequence[str]
    redirect_uri: str
    optional_scopes: Sequence[str] = ()
    user_id: str = ""
    state: str = ""
    code_challenge: str = ""
    resource: Sequence[str] = ()
    reason: str = ""
    authorization_details: Sequence[AuthorizationDetail] = ()
    door: Consent.Door = Consent.Door.LINK
    browser_digest: str = ""


def request_consent(*, actor: Actor, agent: Agent, request: ConsentRequest) -> Consent:
    """Create a pending consent, which the user can decide within 10 minutes.

    Raises `InvalidRedirectUri`, `InvalidScope`, `InvalidTarget`, `InvalidAuthorizationDetails`, `Invalid`, and
    `OrganizationSuspended`, `AgentSuspended` or `ServiceSuspended` for an agent or a service that may not act.
    """
    audiences = _check_request(agent, request)
    servers = [audience.server for audience in audiences if audience.server]
    wanted = list(dict.fromkeys([*request.scopes, *request.optional_scopes]))
    details = _check_details(request.authorization_details, wanted)
    now = clock.now()
    with transaction.atomic():
        consent = Consent.objects.create(
            agent=agent,
            organization_id=agent.organization_id or (servers[0].organization_id if servers else None),
            hinted_user_id=request.user_id,
            requested_scopes=wanted,
            optional_scopes=list(dict.fromkeys(request.optional_scopes)),
            redirect_uri=request.redirect_uri,
            state=request.state,
            code_challenge=request.code_challenge,
            resource=list(dict.fromkeys(audience.identifier for audience in audiences)),
            resource_owners=owners_of(audiences),
            reason=request.reason,
            is_authenticated=agent.is_confidential and (actor.kind, actor.id) == ("agent", agent.id),
            shown_scopes=snapshot(describe_scopes(wanted)),
            shown_services=describe_services(agent, audiences),
            authorization_details=details,
            door=request.door,
            browser_digest=request.browser_digest,
            created_at=now,
            expires_at=now + CONSENT_REQUEST_LIFETIME,
        )
        record_consent(
            Event.CONSENT_REQUESTED,
            actor=actor,
            consent=consent,
            scopes=consent.requested_scopes,
            personal=details_for_log(details),
            at=now,
        )
    return consent


def open_in_browser(*, consent: Consent, browser_digest: str) -> None:
    """Bind a pushed request (RFC 9126) to the first browser that opens it. Raises `OtherBrowser` for any other."""
    unopened = Consent.objects.filter(pk=consent.pk, door=Consent.Door.BROWSER, browser_digest="")
    unopened.update(browser_digest=browser_digest)
    consent.refresh_from_db(fields=["browser_digest"])
    require_same_browser(consent, browser_digest)


def require_same_browser(consent: Consent, browser_digest: str) -> None:
    """Raise `OtherBrowser` if the request belongs to another browser."""
    if not consent.is_open_in(browser_digest):
        raise OtherBrowser(gettext_noop("No access was granted. Go back to the agent in this browser and start again."))


def revoke_consent(*, actor: Actor, consent: Consent, reason: str = "") -> Consent:
    """Revoke the consent, or its replacement if it was replaced, and return the revoked one.

    No verify that starts after this returns is allowed by it. Following the replacement makes sure that a stale id
    still ends the connection. An administrator must give a `reason`, a user need not. Revoking twice changes nothing.
    Raises `ConsentAlreadyDecided` if the consent was never granted or has expired.
    """
    with revocation():
        lock_user(consent.user_id)
        consent = latest_of(consent)
        now = clock.now()
        approved = Consent.objects.filter(pk=consent.pk, status=Consent.Status.APPROVED)
        changed = approved.update(status=Consent.Status.REVOKED, revoked_at=now)
        if changed:
            record_consent(
                Event.CONSENT_REVOKED,
                actor=actor,
                consent=consent,
                scopes=consent.granted_scopes,
                metadata={"reason": reason} if reason else {},
                at=now,
            )
    consent.refresh_from_db()
    if consent.status != Consent.Status.REVOKED:
        raise ConsentAlreadyDecided(
            Filled(gettext_noop("The consent is %(status)s, so it cannot be revoked."), status=in_words(consent.status))
        )
    return consent


def end_all_requests() -> int:
    """End all undecided requests and return how many. The sweep marks and logs them as expired.

    An approval in progress may have read the clock before, so they have expired when they began. One of a request that
    has expired since is waited for, too.
    """
    waiting = Consent.objects.filter(status=Consent.Status.PENDING, expires_at__gt=F("created_at"))
    return waiting.update(expires_at=F("created_at"))


def expire_requests(*, limit: int = BATCH) -> int:
    """Mark up to `limit` undecided requests as expired and return how many."""
    return _expire(Consent.Status.PENDING, limit)


def expire_grants(*, limit: int = BATCH) -> int:
    """Mark up to `limit` approved consents as expired and return how many."""
    return _expire(Consent.Status.APPROVED, limit)


def delete_undecided_consents(*, limit: int = BATCH) -> int:
    """Delete up to `limit` requests that expired undecided an hour ago and return how many.

    Their log entries remain.
    """
    long_ago = clock.now() - UNDECIDED_CONSENT_LIFETIME
    undecided = Consent.objects.filter(status=Consent.Status.EXPIRED, decided_at__isnull=True, expires_at__lte=long_ago)
    return delete_batch(undecided.order_by("expires_at"), limit=limit)


def _expire(status: ConsentStatus, limit: int) -> int:
    """Mark consents as expired, of one status, because the index yields one status in the order of expiry."""
    now = clock.now()
    due = Consent.objects.filter(status=status, expires_at__lte=now).order_by("expires_at")
    if not due.exists():
        return 0
    # A decision in progress may have read the clock just before. The log has the end of the consent after it.
    with revocation() if status == Consent.Status.APPROVED else transaction.atomic():
        return _expire_batch(due, limit, now)


def _expire_batch(due: QuerySet[Consent], limit: int, now: datetime) -> int:
    pks = lock_batch(due, limit)
    Consent.objects.filter(pk__in=pks).update(status=Consent.Status.EXPIRED)
    consents = Consent.objects.filter(pk__in=pks).select_related("agent")
    append([draft_consent(Event.CONSENT_EXPIRED, actor=SYSTEM, consent=consent) for consent in consents], at=now)
    return len(pks)


def _check_request(agent: Agent, request: ConsentRequest) -> list[Audience]:
    """Return the audiences of the request. Raises the errors of `request_consent`."""
    if not matches_registered(request.redirect_uri, agent.redirect_uri_list):
        raise InvalidRedirectUri(
            gettext_noop("Use a redirect URI that is registered for this agent. It must match exactly.")
        )
    require_may_act(agent)
    audiences = require_audiences(request.resource)
    _check_scopes(agent, request, audiences)
    if agent.require_pkce and not request.code_challenge:
        raise Invalid.field("codeChallenge", gettext_noop("This field is required for this agent (RFC 7636)."))
    return audiences


def _check_details(details: Sequence[AuthorizationDetail], wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return the details as they are stored. Raises `InvalidAuthorizationDetails`."""
    completed = complete_details(details, wanted)
    if are_too_long(pick_targets(completed, None, wanted)):
        raise InvalidAuthorizationDetails(TOO_LONG, errors=(FieldError("authorizationDetails", TOO_LONG),))
    return completed


def _check_scopes(agent: Agent, request: ConsentRequest, audiences: Sequence[Audience]) -> None:
    wanted = [*request.scopes, *request.optional_scopes]
    if not wanted:
        raise InvalidScope(gettext_noop("Request at least one scope."))
    if len(set(wanted)) > MAX_SCOPES:
        raise InvalidScope(Filled(gettext_noop("Request at most %(most)d scopes."), most=MAX_SCOPES))
    require_known(request.scopes, field="requestedScopes")
    require_known(request.optional_scopes, field="optionalScopes")
    allowed = scopes_within_reach(agent, [audience.server for audience in audiences if audience.server])
    beyond = [scope for scope in wanted if scope not in allowed]
    if beyond:
        text = gettext_noop("Not among the agent's allowedScopes: %(scopes)s.")
        if agent.is_stock:
            text = gettext_noop("Not offered by this resource: %(scopes)s.")
        raise InvalidScope(Filled(text, scopes=", ".join(beyond)))
    if are_claims_too_long(wanted, [audience.identifier for audience in audiences]):
        raise InvalidScope(CLAIMS_TOO_LONG, errors=(FieldError("requestedScopes", CLAIMS_TOO_LONG),))


def throttle_request(actor: Actor) -> None:
    """Count a consent request by IP address. Raises `Throttled` beyond `THROTTLE_INITIATE`.

    The JSON API, `/oauth/authorize` and PAR share the count.
    """
    Throttle("initiate", settings.THROTTLE_INITIATE).hit(*address_subjects(actor.ip or ""))
