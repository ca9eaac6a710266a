"""Tokens of a client on its own, revocation, and the sweep.

Exchange and refresh have files of their own. Both doors, the JSON API and OAuth, call all of them.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from agents.models import Agent
from audit.events import Event
from core import clock
from core.actor import Actor
from core.sweeps import BATCH, delete_batch
from developers.models import Organization
from resources.audiences import audience_for_identifier
from tokens.families import end_family, family_of
from tokens.issuing import IssuedTokens, Refusal, issue_access_token
from tokens.models import AccessToken, RefreshToken, TokenFamily
from tokens.repeats import delete_old_answers

# Expired rows stay a day, so that a late question about them is still answered with their organization.
KEEP_EXPIRED = timedelta(days=1)


@transaction.atomic
def issue_client_token(
    *, actor: Actor, agent: Agent, scopes: Sequence[str], resource: Sequence[str] = ()
) -> IssuedTokens | Refusal:
    """Issue an access token to a confidential agent of its own (RFC 6749 section 4.4), without a person.

    It reaches its own organization only; a stock client has none, and so gets nothing.
    """
    organization = agent.organization
    if not agent.may_act or not agent.is_confidential or organization is None:
        return Refusal("unauthorized_client", "This client may not use client_credentials.")
    if not all(_is_own_resource(organization, identifier) for identifier in resource):
        return Refusal(
            "invalid_target", "With client_credentials, a client can only use resource servers of its own organization."
        )
    wanted = list(scopes) or list(agent.allowed_scopes)
    if not wanted or not set(wanted) <= set(agent.allowed_scopes):
        return Refusal("invalid_scope", "The scope must be one of the agent's allowed scopes.")
    now = clock.now()
    audience = list(resource) or [settings.API_URL]
    family = TokenFamily.objects.create(application=agent, scope=" ".join(wanted), resource=audience, created_at=now)
    return issue_access_token(actor=actor, family=family, scopes=wanted, resource=resource, now=now)


def revoke_token(*, actor: Actor, token: str, agent: Agent | None = None) -> bool:
    """End the family of an access or refresh token (RFC 7009); return False when nothing of the kind is live.

    With `agent` given, another client's token is left alone.
    """
    family = family_of(token)
    if family is None or (agent is not None and family.application_id != agent.id):
        return False
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now())


def revoke_family(*, actor: Actor, family: TokenFamily, reason: str) -> bool:
    """End a family by an administrator's hand; return False if it had ended before."""
    metadata = {"reason": reason}
    return end_family(family, actor=actor, event=Event.TOKEN_REVOKED, now=clock.now(), metadata=metadata)


def delete_expired_tokens(*, limit: int = BATCH) -> int:
    """Delete up to `limit` each of tokens, families and kept answers that are of no use; return how many."""
    now = clock.now()
    long_ago = now - KEEP_EXPIRED
    total = delete_old_answers(now=now, limit=limit)
    for model in (AccessToken, RefreshToken):
        total += delete_batch(model.objects.filter(expires__lte=long_ago).order_by("pk"), limit=limit)
    empty = TokenFamily.objects.filter(created_at__lte=long_ago, access_tokens=None, refresh_tokens=None, code=None)
    return total + delete_batch(empty.order_by("pk"), limit=limit)


def _is_own_resource(organization: Organization, identifier: str) -> bool:
    audience = audience_for_identifier(identifier)
    if audience is None:
        return False
    return audience.server is None or audience.server.organization_id == organization.id
