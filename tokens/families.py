"""Token families: looked up by any of their tokens, ended once, and logged."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.grants import ACTING_AGENT
from consent.models import Consent
from core import clock, secrets
from core.actor import Actor
from core.locks import after_decisions, revocation
from core.sql import Columns, fetch_one, pipelined
from resources.audiences import Service, services_of
from tokens.access_tokens import read_access_token
from tokens.chains import ENDED, Handover, is_chain_live, links_of, read_chain
from tokens.delegated_approvals import end_unreachable
from tokens.models import Delegation, TokenFamily

REFRESH_TOKEN_LIFETIME = timedelta(days=30)

# An expiry has a day to spare, so that a family that is refreshed often is updated only once per day.
SPARE = timedelta(days=1)
SERVICE_GONE = "The service for which the tokens are meant is no longer registered by the same organization."

FAMILY = Columns(TokenFamily, "family")
_OF_TOKEN = f"""
    SELECT {FAMILY.sql}, {ACTING_AGENT.sql} FROM {{tokens}} AS token
    JOIN tokens_tokenfamily AS family ON family.id = token.family_id
    JOIN agents_agent AS agent ON agent.id = family.application_id
    WHERE token.{{column}} = %s
"""  # noqa: S608
OF_REFRESH_TOKEN = _OF_TOKEN.format(tokens="tokens_refreshtoken", column="token_checksum")
OF_JWT = _OF_TOKEN.format(tokens="tokens_accesstoken", column="id")
# Returns whether approvals of calls that were handed on may have ended with it.
END = """
    UPDATE tokens_tokenfamily SET revoked_at = %s WHERE id = %s AND revoked_at IS NULL
    RETURNING delegation_id IS NOT NULL
        OR EXISTS (SELECT 1 FROM tokens_delegation WHERE from_family_id = tokens_tokenfamily.id)
"""


def next_expiry(now: datetime) -> datetime:
    """Return the `expires_at` of a family that gets a refresh token now."""
    return now + REFRESH_TOKEN_LIFETIME + SPARE


def outlive_refresh_token(family: TokenFamily, now: datetime) -> None:
    """Move the expiry of a locked or new family if it is before that of a refresh token issued now."""
    if family.expires_at < now + REFRESH_TOKEN_LIFETIME:
        family.expires_at = next_expiry(now)
        TokenFamily.objects.filter(pk=family.pk).update(expires_at=family.expires_at)


def family_of(token: str) -> TokenFamily | None:
    """Return the family of an access or refresh token, live or not. None for any other string."""
    claims = read_access_token(token)
    row = (
        fetch_one(OF_REFRESH_TOKEN, [secrets.digest(token)]) if claims is None else fetch_one(OF_JWT, [claims.token_id])
    )
    if row is None:
        return None
    values = iter(row)
    family, agent = FAMILY.make(values), ACTING_AGENT.make(values)
    if family is not None and agent is not None:
        family.application = agent
    return family


def end_family(
    family: TokenFamily, *, actor: Actor, event: Event, now: datetime, metadata: Mapping[str, Any] | None = None
) -> bool:
    """Revoke every token of the family; return False if the family had already ended.

    Danger: call this last in a transaction, because a revocation takes a lock that blocks every verify.
    """
    with revocation():
        with pipelined():  # with BEGIN
            ended = fetch_one(END, [now, family.pk])
        if ended:
            record_family(event, actor=actor, family=family, now=now, metadata=metadata)
        if ended and ended[0] and family.consent_id:
            after_decisions(partial(end_unreachable, family.consent_id, now))
    return ended is not None


def end_replayed_family(family: TokenFamily | None, *, actor: Actor, kind: str, now: datetime) -> None:
    """End what the first use issued, because one of the two users of the code or token is an attacker.

    See RFC 9700 section 4.14.2.
    """
    if family is not None:
        end_family(family, actor=actor, event=Event.TOKEN_REPLAYED, now=now, metadata={"kind": kind})


def end_all_families(*, actor: Actor, reason: str) -> int:
    """End every family; return how many. A restored database revives all tokens revoked after the backup."""
    live = TokenFamily.objects.filter(revoked_at__isnull=True).values_list("pk", flat=True)
    families = TokenFamily.objects.select_related("application", "consent")
    metadata = {"reason": reason}
    return sum(
        end_family(
            families.get(pk=family_id), actor=actor, event=Event.TOKEN_REVOKED, now=clock.now(), metadata=metadata
        )
        for family_id in list(live)
    )


def problem_with_grant(
    consent: Consent | None, audience: Sequence[str], services: Sequence[Service], now: datetime
) -> str | None:
    """Return why no tokens may be issued under this consent for this audience now, or None if they may.

    `services` are those of the audience that still belong to the same organizations.
    """
    if consent is None or consent.user is None or not consent.user.is_active:
        return "The user's account is deactivated."
    if consent.agent.stopped_by is not None:
        return consent.agent.stopped_by.value
    if settings.API_URL not in audience and not any(service.may_act for service in services):
        return "The service for which the tokens are meant is suspended." if services else SERVICE_GONE
    if consent.status_at(now) != Consent.Status.APPROVED:
        return "The consent is no longer in force. Ask the user again."
    if not consent.live_scopes():
        return "The agent may no longer use any of the granted scopes."
    return None


def problem_with_delegation(delegation: Delegation, chain: Sequence[Handover], now: datetime) -> str | None:
    """Return why no tokens may be issued for the delegation now, or None if they may."""
    if not is_chain_live(delegation.path, chain, now):
        return ENDED
    stopper = delegation.to_agent.stopped_by
    return stopper.value if stopper else None


def record_family(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    now: datetime,
    scopes: Sequence[str] = (),
    services: Sequence[Service] | None = None,
    metadata: Mapping[str, Any] | None = None,
    chain: Sequence[Handover] | None = None,
) -> None:
    """Log an event of a family, for the organizations of its agents and those whose services its tokens reach.

    The latter are read unless they are passed as `services`, and so is the `chain`.
    """
    if services is None:
        services = services_of(family.resource_owners.items())
    draft = draft_family(
        event, actor=actor, family=family, scopes=scopes, services=services, metadata=metadata, chain=chain
    )
    append([draft], at=now)


def draft_family(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    services: Sequence[Service],
    scopes: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    chain: Sequence[Handover] | None = None,
) -> Draft:
    if chain is None:
        chain = read_chain(family.delegation) if family.delegation else ()
    return Draft(
        event=event,
        actor=actor,
        outcome=Outcome.DENIED if event is Event.TOKEN_REPLAYED else Outcome.INFO,
        organization_id=family.application.organization_id,
        service_organization_ids=[service.organization_id for service in services],
        user_id=family.user_id,
        agent_id=family.application_id,
        consent_id=family.consent_id,
        scopes=tuple(scopes),
        metadata={"familyId": family.id, **(metadata or {})},
        chain=links_of(chain, family.application_id, family.application.organization_id),
    )
