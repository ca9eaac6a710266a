"""Client credentials, revocation and the sweep, for the JSON API and OAuth alike.

Exchange and refresh are in `exchange.py` and `refresh.py`.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from agents.emergency import is_everything_stopped
from agents.models import Agent
from audit.events import Event
from core import clock
from core.actor import Actor
from core.locks import write_transaction
from core.sql import pipelined
from core.sweeps import BATCH, delete_batch
from developers.models import Organization
from resources.audiences import (
    CLAIMS_TOO_LONG,
    Audience,
    are_claims_too_long,
    audience_for_identifier,
    owners_of,
    services_among,
)
from tokens.families import end_family, family_of
from tokens.issuing import EVERYTHING_STOPPED, IssuedTokens, Refusal, issue_access_token
from tokens.models import AccessToken, Delegation, RefreshToken, TokenFamily

# Expired rows are kept for a day, so that a late verify of their tokens is still logged for the right organization.
KEEP_EXPIRED = timedelta(days=1)


@write_transaction()
def issue_client_token(
    *, actor: Actor, agent: Agent, scopes: Sequence[str], resource: Sequence[str] = ()
) -> IssuedTokens | Refusal:
    """Issue an access token to a confidential agent on its own behalf (RFC 6749 section 4.4).

    The token is only for services of the agent's organization. A stock client has no organization and is refused.
    """
    # It was read when the client was authenticated, and may have been stopped since.
    current = Agent.objects.select_related("organization").filter(pk=agent.pk).first()
    if current is None or not current.may_act or not current.is_confidential or current.organization is None:
        return Refusal("unauthorized_client", "This client may not use client_credentials.")
    agent, organization = current, current.organization
    audiences = [audience_for_identifier(identifier) for identifier in resource]
    own = [audience for audience in audiences if audience and _is_own(organization, audience)]
    if len(own) != len(resource):
        return Refusal(
            "invalid_target", "With client_credentials, a client can only use resource servers of its own organization."
        )
    wanted = list(scopes) or list(agent.allowed_scopes)
    if not wanted or not set(wanted) <= set(agent.allowed_scopes):
        return Refusal("invalid_scope", "The scope must be one of the agent's allowed scopes.")
    audience = list(resource) or [settings.API_URL]
    if are_claims_too_long(wanted, audience):
        return Refusal("invalid_scope", CLAIMS_TOO_LONG)
    if is_everything_stopped():
        return EVERYTHING_STOPPED
    now = clock.now()
    family = TokenFamily(
        application=agent,
        scope=" ".join(wanted),
        resource=audience,
        resource_owners=owners_of(own),
        created_at=now,
        expires_at=now + settings.ACCESS_TOKEN_LIFETIME,
    )
    with pipelined():
        return issue_access_token(
            actor=actor, family=family, scopes=wanted, resource=resource, services=services_among(own), now=now
        )


def revoke_token(*, actor: Actor, token: str, agent: Agent | None = None) -> bool:
    """End the family of an access or refresh token (RFC 7009); return False if there is no live one.

    If `agent` is given, tokens of other clients are ignored.
    """
    family = family_of(token)
    if family is None or (agent is not None and family.application_id != agent.id):
        return False
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now())


def revoke_family(*, actor: Actor, family: TokenFamily, reason: str) -> bool:
    """End a family on behalf of an administrator; return False if it had already ended."""
    metadata = {"reason": reason}
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now(), metadata=metadata)


def delete_expired_access_tokens(*, limit: int = BATCH) -> int:
    """Delete up to `limit` access tokens that expired a day ago and return how many."""
    expired = AccessToken.objects.filter(expires__lte=clock.now() - KEEP_EXPIRED)
    return delete_batch(expired.order_by("expires"), limit=limit)


def delete_expired_refresh_tokens(*, limit: int = BATCH) -> int:
    """Delete up to `limit` refresh tokens that expired a day ago and return how many."""
    expired = RefreshToken.objects.filter(expires__lte=clock.now() - KEEP_EXPIRED)
    return delete_batch(expired.order_by("expires"), limit=limit)


def delete_expired_families(*, limit: int = BATCH) -> int:
    """Delete up to `limit` families that expired a day ago, with tokens that are left of them; return how many."""
    expired = TokenFamily.objects.filter(expires_at__lte=clock.now() - KEEP_EXPIRED)
    return delete_batch(expired.order_by("expires_at"), limit=limit)


def delete_expired_delegations(*, limit: int = BATCH) -> int:
    """Delete up to `limit` delegations that expired a day ago, with their tokens; return how many.

    Those that were handed on expire no later, and are deleted before what is above them.
    """
    expired = Delegation.objects.filter(expires_at__lte=clock.now() - KEEP_EXPIRED)
    return delete_batch(expired.order_by("expires_at", "-id"), limit=limit)


def _is_own(organization: Organization, audience: Audience) -> bool:
    return audience.server is None or audience.server.organization_id == organization.id
