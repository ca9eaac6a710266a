"""Exchange of an authorization code for a family of tokens.

A refusal is returned, never raised: an exception would roll back the revocation that follows a replay.
"""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from agents.emergency import is_everything_stopped
from agents.models import Agent
from audit.events import Event
from consent.codes import UNUSABLE, consume_code, lock_code, problem_with_code
from consent.details import AuthorizationDetail
from consent.models import AuthorizationCode
from consent.targets import asks_for_all
from core import clock, secrets
from core.actor import Actor
from core.locks import share_grants, write_transaction
from core.sql import pipelined
from resources.audiences import held_among, services_of
from tokens.chains import read_chain
from tokens.families import end_replayed_family, next_expiry, problem_with_delegation, problem_with_grant
from tokens.issuing import (
    EVERYTHING_STOPPED,
    NOTHING_LEFT,
    OTHER_DETAILS,
    OTHER_RESOURCE,
    IssuedTokens,
    Refusal,
    granted_scopes,
    issue_access_token,
    issue_pair,
)
from tokens.models import Delegation, TokenFamily

UNUSABLE_DELEGATION = Refusal(
    "invalid_grant", "The delegation token is unknown, expired or used, or it is for another agent."
)
OTHER_SCOPE = Refusal("invalid_scope", "The delegation does not cover these scopes.")
UNUSABLE_CODE = Refusal("invalid_grant", UNUSABLE)
REPLAYED_CODE = Refusal(
    "invalid_grant",
    "The code was used before, so the tokens that it had yielded were revoked. Ask the user for consent again.",
)


# No savepoint: nothing that this raises is caught before the outer transaction ends.
@write_transaction(savepoint=False)
def exchange_code(
    *,
    actor: Actor,
    agent: Agent,
    code: str,
    code_verifier: str = "",
    redirect_uri: str | None = None,
    resource: Sequence[str] = (),
    details: Sequence[AuthorizationDetail] | None = None,
) -> IssuedTokens | Refusal:
    """Redeem a code once (RFC 6749 section 4.1.3, RFC 7636 section 4.6). A second use revokes what the first issued.

    `redirect_uri` is None if the client omits it, as in OAuth 2.1. `resource` may narrow the access token's audience
    (RFC 8707 section 2.2). `details` must be exactly what the user granted (RFC 9396 section 6).
    """
    found = lock_code(code)
    now = clock.now()
    if found is None or found.row.application_id != agent.id:
        return UNUSABLE_CODE
    row, grant = found
    if row.consumed_at is not None:
        family = TokenFamily.objects.select_related("application", "consent").filter(code=row).first()
        end_replayed_family(family, actor=actor, kind="code", now=now)
        # A client without a secret has not proved its identity, so its error does not reveal the replay.
        return REPLAYED_CODE if agent.is_confidential else UNUSABLE_CODE
    held = held_among(row.resource, grant.services)
    problem = problem_with_code(row, code_verifier=code_verifier, redirect_uri=redirect_uri, now=now)
    problem = problem or problem_with_grant(row.consent, held, grant.services, now)
    if problem:
        return Refusal("invalid_grant", problem)
    if not set(resource) <= set(held):
        return OTHER_RESOURCE
    scopes = row.scope.split()
    allowed = row.consent.agent.allowed_among(scopes)
    if details is not None and not asks_for_all(details, row.consent.targets, allowed):
        return OTHER_DETAILS
    if grant.is_everything_stopped:
        return EVERYTHING_STOPPED
    with pipelined():
        consume_code(row, now)
        return issue_pair(
            Event.TOKEN_ISSUED,
            actor=actor,
            family=_new_family(row, held, now),
            scopes=scopes,
            resource=resource,
            services=grant.services,
            now=now,
        )


@write_transaction(savepoint=False)
def redeem_delegation(
    *, actor: Actor, agent: Agent, token: str, scopes: Sequence[str] | None = None, resource: Sequence[str] = ()
) -> IssuedTokens | Refusal:
    """Redeem a delegation token once, by the agent for which it is (RFC 8693 section 2.1).

    `scopes` and `resource` may narrow the access token. There is a refresh token if the delegation outlives it. Another
    agent, or a second use, gets a refusal and ends nothing.
    """
    share_grants()
    row = _lock_delegation(token)
    now = clock.now()
    if row is None or row.to_agent_id != agent.id or row.redeemed_at is not None or row.token_expires_at <= now:
        return UNUSABLE_DELEGATION
    chain = read_chain(row)
    source = row.from_family
    services = services_of(source.resource_owners.items())
    held = held_among(source.resource, services)
    problem = problem_with_delegation(row, chain, now) or problem_with_grant(row.consent, held, services, now)
    if problem:
        return Refusal("invalid_grant", problem)
    if not set(scopes or ()) <= set(row.scopes):
        return OTHER_SCOPE
    if not set(resource) <= set(held):
        return OTHER_RESOURCE
    family = TokenFamily(
        application=row.to_agent,
        user_id=row.user_id,
        consent=row.consent,
        delegation=row,
        scope=" ".join(row.scopes),
        resource=held,
        resource_owners={name: owner for name, owner in source.resource_owners.items() if name in held},
        created_at=now,
        expires_at=row.expires_at,
    )
    if not granted_scopes(family, row.scopes, chain):
        return NOTHING_LEFT
    if is_everything_stopped():
        return EVERYTHING_STOPPED
    Delegation.objects.filter(pk=row.pk).update(redeemed_at=now)
    is_short = row.expires_at <= now + settings.ACCESS_TOKEN_LIFETIME
    return (issue_access_token if is_short else issue_pair)(
        event=Event.DELEGATION_REDEEMED,
        actor=actor,
        family=family,
        scopes=row.scopes if scopes is None else scopes,
        resource=resource,
        services=services,
        now=now,
        chain=chain,
    )


def _lock_delegation(token: str) -> Delegation | None:
    """Lock the delegation of a token, then return it with what it depends on.

    It is read by a statement of its own: one that waits for the lock sees the other rows as they were before.
    """
    digest = secrets.digest(token)
    if not Delegation.objects.select_for_update(no_key=True).filter(token_digest=digest).values_list("pk").first():
        return None
    related = ("from_family", "to_agent__organization", "consent__agent__organization", "consent__user")
    return Delegation.objects.select_related(*related).get(token_digest=digest)


def _new_family(row: AuthorizationCode, audience: Sequence[str], now: datetime) -> TokenFamily:
    """Return the family of a code for the audience, which is not stored yet. Its agent and user are the consent's."""
    return TokenFamily(
        application=row.consent.agent,
        user=row.consent.user,
        consent=row.consent,
        code_id=row.id,
        scope=row.scope,
        resource=audience,
        resource_owners={name: owner for name, owner in row.resource_owners.items() if name in audience},
        created_at=now,
        expires_at=next_expiry(now),
    )
