"""Exchange of an authorization code for a family of tokens.

A refusal is returned, never raised: an exception would roll back the revocation that follows a replay.
"""

from collections.abc import Sequence
from datetime import datetime

from agents.models import Agent
from audit.events import Event
from consent.codes import UNUSABLE, consume_code, lock_code, problem_with_code
from consent.details import AuthorizationDetail
from consent.models import AuthorizationCode
from consent.targets import asks_for_all
from core import clock
from core.actor import Actor
from core.locks import write_transaction
from core.sql import pipelined
from resources.audiences import held_among
from tokens.families import end_replayed_family, next_expiry, problem_with_grant
from tokens.issuing import EVERYTHING_STOPPED, OTHER_DETAILS, OTHER_RESOURCE, IssuedTokens, Refusal, issue_pair
from tokens.models import TokenFamily

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
