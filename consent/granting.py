"""The user's decision on a request: approve it, which issues an authorization code, or deny it.

If it replaces a connection, the signal `consent_replaced` moves the token families within the same transaction, because
`consent` cannot import `tokens`. Without a receiver, verify denies: the families stay under a replaced consent.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import get_language, gettext_noop

from accounts.models import User
from accounts.recent import require_recent_sign_in
from accounts.selectors import require_verified_address
from accounts.services import hold_account
from agents.services import lock_agent, require_may_act
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.codes import AUTHORIZATION_CODE_LIFETIME, issue_code, move_codes, repeat_code
from consent.connections import ALL_REQUESTED, Change, Choice, end_of, plan_change, replace_consent
from consent.errors import ConsentAlreadyDecided, ConsentExpired, NothingToGrant
from consent.models import Consent
from consent.notices import announce_grant
from consent.records import draft_consent, personal_terms, record_consent
from consent.redirects import denial_url, redirect_url, require_registered_redirect
from consent.signals import consent_replaced
from consent.statuses import in_words
from consent.targets import pick_targets
from consent.terms import Terms, has_led_to
from core import clock
from core.actor import SYSTEM, Actor
from core.catalogs import catalog_version
from core.errors import NotFound
from core.languages import ENGLISH
from core.locks import after_decisions, revocation
from core.wording import Filled
from developers.services import hold_organizations
from resources.audiences import require_same_owners, require_services


@dataclass(frozen=True, slots=True)
class Granted:
    """An approved consent, its code, which is shown only once, and the URL to redirect the user to."""

    consent: Consent
    code: str
    redirect_url: str

    def __repr__(self) -> str:
        return f"Granted({self.consent.id})"


def require_grantable(consent: Consent) -> None:
    """Raise an error if a pending request cannot be granted now.

    Raises `OrganizationSuspended`, `AgentSuspended`, `InvalidRedirectUri`, `NothingToGrant`, `ServiceSuspended` for a
    requested service, and `InvalidTarget` for one that another organization owns now.
    """
    require_may_act(consent.agent)
    require_same_owners(consent.resource_owners)
    require_services(consent.resource_owners)
    require_registered_redirect(consent)
    if not consent.askable_scopes():
        raise NothingToGrant(
            gettext_noop("The developer has removed all requested scopes from the agent. Start again at the agent.")
        )


@transaction.atomic
def approve_consent(
    *,
    actor: Actor,
    consent: Consent,
    user: User,
    choice: Choice = ALL_REQUESTED,
    signed_in_at: datetime | None = None,
) -> Granted:
    """Grant the scopes that the user chose, on their terms and for their lifetime, and issue the code.

    The code covers the scopes that were both requested and granted, and none that only other devices requested.
    Replacing a consent may remove scopes, so no verify that starts after this call uses the earlier consent.

    Raises `NotFound`, `EmailUnverified`, `NothingPicked`, `Invalid`, `InvalidScope`, `ConnectionChanged`,
    `ConsentAlreadyDecided`, `ConsentExpired`, the errors of `require_grantable`, and `ReauthenticationRequired` if a
    critical scope is granted or widened and the user has not entered their password recently (`signed_in_at`).
    """
    # Danger: keep the order of locks: accounts, organizations, agents, and last the lock of a revocation, which stalls
    # every verify.
    user = hold_account(user)
    now = clock.now()
    require_verified_address(user)
    consent, change, drafts = _grant(actor=actor, consent=consent, user=user, choice=choice, now=now)
    if change.needs_recent_sign_in:
        require_recent_sign_in(signed_in_at)
    code = issue_code(consent, user, now)
    announce_grant(actor=actor, consent=consent, user=user, change=change, at=now)
    with revocation() if change.ends_another or change.carry else nullcontext():
        # In a revocation, the log has these entries after all decisions that still used the ended consent.
        append(drafts, at=now)
        if change.replaced:
            # Move codes before families, so that a family created by a concurrent exchange is moved too.
            move_codes(source=change.replaced, target=consent, now=now)
            consent_replaced.send(sender=Consent, replaced=change.replaced, replacement=consent, actor=actor, now=now)
        if change.carry:
            after_decisions(change.carry)
    return Granted(consent, code, redirect_url(consent, {"code": code}))


def deny_consent(*, actor: Actor, consent: Consent, user: User) -> Consent:
    """Deny the request and return the updated consent. A suspended agent's request can be denied too.

    Raises `NotFound`, `ConsentAlreadyDecided`, `ConsentExpired`, and `InvalidRedirectUri`, because the user would be
    redirected to an unregistered address.
    """
    _check_decider(consent, user)
    now = clock.now()
    with transaction.atomic():
        hold_account(user)
        consent.agent = lock_agent(consent.agent_id)
        require_registered_redirect(consent)
        consent = _decide(consent, user=user, status=Consent.Status.DENIED, now=now, changes={})
        record_consent(
            Event.CONSENT_DENIED,
            actor=actor,
            consent=consent,
            outcome=Outcome.DENIED,
            scopes=consent.requested_scopes,
            at=now,
        )
    return consent


def repeat_decision(*, consent: Consent, user: User, choice: Choice | None) -> str | None:
    """Return the URL that the same decision has just redirected the user to, or None if there was none.

    `choice` has the whole connection, or is None for a denial. After a double click the browser drops the first
    response, and its code with it, so the second click gets the same one.
    """
    now = clock.now()
    if consent.user_id != user.id or consent.decided_at is None:
        return None
    if consent.decided_at <= now - AUTHORIZATION_CODE_LIFETIME:
        return None
    if consent.status == Consent.Status.DENIED and choice is None:
        return denial_url(consent)
    if consent.status == Consent.Status.APPROVED and choice is not None and _is_same(consent, choice):
        code = repeat_code(consent, now)
        return redirect_url(consent, {"code": code}) if code else None
    return None


def _is_same(consent: Consent, choice: Choice) -> bool:
    """Return whether an approved consent is what the choice of a whole connection has led to."""
    if set(choice.scopes or ()) != set(consent.granted_scopes) or consent.expires_at != _end_chosen(consent, choice):
        return False
    if choice.delegation not in (None, consent.delegation):
        return False
    terms = Terms.read(consent.terms)
    picked = pick_targets(consent.authorization_details, choice.targets, consent.granted_scopes)
    return has_led_to(choice.terms, terms) and all(terms.targets.get(scope) == picked[scope] for scope in picked)


def _end_chosen(consent: Consent, choice: Choice) -> datetime | None:
    """Return the end that the choice leads to. The latest of the consents that `consent` replaced was live then."""
    replaced = Consent.objects.filter(replaced_by=consent).order_by("-replaced_at").first()
    return end_of(choice, replaced, consent.decided_at) if consent.decided_at else None


def _grant(
    *, actor: Actor, consent: Consent, user: User, choice: Choice, now: datetime
) -> tuple[Consent, Change, list[Draft]]:
    """Approve the consent. Return the updated consent, the change of the connection, and the entries for the log."""
    _check_decider(consent, user)
    hold_organizations([consent.agent.organization_id, *consent.resource_owners.values()])
    consent.agent = lock_agent(consent.agent_id)
    require_grantable(consent)
    change = plan_change(consent, user, choice, now)
    language = get_language() or ENGLISH
    drafts = []
    if change.expired:
        drafts.append(draft_consent(Event.CONSENT_EXPIRED, actor=SYSTEM, consent=change.expired))
    if change.replaced:
        drafts.append(
            replace_consent(actor=actor, replaced=change.replaced, replacement=consent, granted=change.granted, now=now)
        )
    changes = {
        "granted_scopes": change.granted,
        "shown_scopes": change.shown,
        "shown_services": change.services,
        "language": language,
        "catalog_version": catalog_version(language),
        "terms": change.terms.stored(),
        "expires_at": change.expires_at,
        "delegation": change.delegation,
        "paused_at": change.replaced.paused_at if change.replaced else None,
    }
    consent = _decide(consent, user=user, status=Consent.Status.APPROVED, now=now, changes=changes)
    approved = draft_consent(
        Event.CONSENT_APPROVED,
        actor=actor,
        consent=consent,
        outcome=Outcome.ALLOWED,
        scopes=change.granted,
        metadata={
            **change.describe(consent.requested_scopes),
            "language": consent.language,
            "catalogVersion": consent.catalog_version,
            "expiresAt": clock.rfc3339(consent.expires_at),
        },
        personal=personal_terms(terms=change.terms),
    )
    return consent, change, [*drafts, approved]


def _decide(consent: Consent, *, user: User, status: str, now: datetime, changes: Mapping[str, Any]) -> Consent:
    """Change the status from pending to `status`. Raises `ConsentAlreadyDecided`, `ConsentExpired`."""
    pending = Consent.objects.filter(pk=consent.pk, status=Consent.Status.PENDING, expires_at__gt=now)
    changes = {"status": status, "user": user, "decided_at": now, **changes}
    if pending.update(**changes):
        # Nothing else of a request ever changes.
        for name, value in changes.items():
            setattr(consent, name, value)
        return consent
    consent.refresh_from_db()
    _check_decider(consent, user)
    if consent.decided_at is None:
        raise ConsentExpired(gettext_noop("Start again at the agent."))
    raise ConsentAlreadyDecided(
        Filled(gettext_noop("The request is already %(status)s."), status=in_words(consent.status))
    )


def _check_decider(consent: Consent, user: User) -> None:
    """Raise `NotFound` if the consent is for another user."""
    owner = consent.user_id or consent.hinted_user_id
    if owner and owner != user.id:
        raise NotFound("No such consent.")
