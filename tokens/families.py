"""A family of tokens: found by any of its tokens, ended once, logged."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from audit.events import Event, Outcome
from audit.services import Draft, append
from consent.models import Consent
from core import clock, secrets
from core.actor import Actor
from core.locks import revocation
from resources.audiences import organizations_of_services
from tokens.access_tokens import read_access_token
from tokens.models import TokenFamily


def family_of(token: str) -> TokenFamily | None:
    """Return the family of an access or refresh token, live or not. None for what is neither."""
    families = TokenFamily.objects.select_related("application", "consent")
    claims = read_access_token(token)
    if claims is not None:
        return families.filter(access_tokens__id=claims.token_id).first()
    return families.filter(refresh_tokens__token_checksum=secrets.digest(token)).first()


def end_family(
    family: TokenFamily, *, actor: Actor, event: Event, now: datetime, metadata: Mapping[str, Any] | None = None
) -> bool:
    """End every token of the family; return False if it had ended before.

    Danger: call it last in a transaction, for a revocation takes a lock that stalls every verify.
    """
    with revocation():
        ended = bool(TokenFamily.objects.filter(pk=family.pk, revoked_at__isnull=True).update(revoked_at=now))
        if ended:
            record_family(event, actor=actor, family=family, now=now, metadata=metadata)
    return ended


def end_replayed_family(family: TokenFamily | None, *, actor: Actor, kind: str, now: datetime) -> None:
    """End what a first use issued: one of the two who used the code or token is a thief (RFC 9700 section 4.14.2)."""
    if family is not None:
        end_family(family, actor=actor, event=Event.TOKEN_REPLAYED, now=now, metadata={"kind": kind})


def end_all_families(*, actor: Actor, reason: str) -> int:
    """End every token; return how many families that were. A restored database revives what was revoked since."""
    live = TokenFamily.objects.filter(revoked_at__isnull=True).values_list("pk", flat=True)
    families = TokenFamily.objects.select_related("application", "consent")
    metadata = {"reason": reason}
    return sum(
        end_family(
            families.get(pk=family_id), actor=actor, event=Event.TOKEN_REVOKED, now=clock.now(), metadata=metadata
        )
        for family_id in list(live)
    )


def problem_with_grant(consent: Consent | None, audience: Sequence[str], now: datetime) -> str | None:
    """Return why a consent yields no tokens for this audience now. None when it does."""
    if consent is None or consent.user is None or not consent.user.is_active:
        return "The user's account is deactivated."
    if consent.agent.stopped_by is not None:
        return consent.agent.stopped_by.value
    if not _is_any_service_live(audience):
        return "The service for which the tokens are meant is suspended."
    if consent.status_at(now) != Consent.Status.APPROVED:
        return "The consent is no longer in force. Ask the user again."
    if not consent.live_scopes():
        return "The agent may no longer use any of the granted scopes."
    return None


def _is_any_service_live(audience: Sequence[str]) -> bool:
    """Return whether a token for this audience is good anywhere. The default audience is ourselves."""
    if settings.API_URL in audience:
        return True
    services = organizations_of_services(audience)
    return not services or any(organization.may_act for organization in services)


def record_family(
    event: Event,
    *,
    actor: Actor,
    family: TokenFamily,
    now: datetime,
    scopes: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Log something that happened to a family, for the agent's organization and those that its tokens reach."""
    draft = Draft(
        event=event,
        actor=actor,
        outcome=Outcome.DENIED if event is Event.TOKEN_REPLAYED else Outcome.INFO,
        organization_id=family.application.organization_id,
        service_organization_ids=[one.id for one in organizations_of_services(family.resource)],
        user_id=family.user_id,
        agent_id=family.application_id,
        consent_id=family.consent_id,
        scopes=tuple(scopes),
        metadata={"familyId": family.id, **(metadata or {})},
    )
    append([draft], at=now)
