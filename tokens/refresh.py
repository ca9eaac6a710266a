"""Exchange of a refresh token for the next pair of its family.

A refusal is returned, never raised: an exception would roll back the revocation that follows a replay.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from agents.models import Agent
from audit.events import Event
from consent.details import AuthorizationDetail
from consent.grants import Grant, Source, lock_source, make_grant
from consent.targets import asks_for_all
from core import clock, secrets
from core.actor import Actor
from core.locks import write_transaction
from core.sql import Columns, pipelined
from resources.audiences import held_among
from tokens.chains import Handover, narrow_targets, read_chain
from tokens.families import FAMILY, end_replayed_family, problem_with_delegation, problem_with_grant
from tokens.issuing import (
    EVERYTHING_STOPPED,
    NOTHING_LEFT,
    OTHER_DETAILS,
    OTHER_RESOURCE,
    IssuedTokens,
    Refusal,
    granted_scopes,
    issue_pair,
)
from tokens.models import Delegation, RefreshToken, TokenFamily
from tokens.repeats import RefreshRequest, consume, kept_answer

UNUSABLE_REFRESH_TOKEN = Refusal("invalid_grant", "The refresh token is unknown, expired or used.")
WIDER_SCOPE = Refusal("invalid_scope", "A refresh cannot add scopes. Request only scopes that the refresh token has.")

TOKEN = Columns(RefreshToken, "token")
SOURCE = Source(
    columns=f"{TOKEN.sql}, {FAMILY.sql}",
    owners="family.resource_owners",
    joined="tokens_refreshtoken AS token JOIN tokens_tokenfamily AS family ON family.id = token.family_id "
    "LEFT JOIN consent_consent AS consent ON consent.id = family.consent_id",
    found_by="token.token_checksum",
    locked="tokens_tokenfamily WHERE id = (SELECT family_id FROM tokens_refreshtoken WHERE token_checksum = %s)",
)


class LockedToken(NamedTuple):
    """A refresh token whose family is locked, and what the family depends on. `row.family` has the grant's rows.

    `chain` are the delegations by which its agent acts, if another agent handed it the work.
    """

    row: RefreshToken
    grant: Grant
    chain: Sequence[Handover] = ()


# No savepoint: nothing that this raises is caught before the outer transaction ends.
@write_transaction(savepoint=False)
def refresh_tokens(
    *,
    actor: Actor,
    agent: Agent,
    refresh_token: str,
    scopes: Sequence[str] | None = None,
    resource: Sequence[str] = (),
    details: Sequence[AuthorizationDetail] | None = None,
    is_repeatable: bool = False,
) -> IssuedTokens | Refusal:
    """Rotate a refresh token (RFC 9700 section 4.14.2). A second use ends the whole family.

    `scopes` and `resource` may narrow the new access token, but not the family. By default the token gets all that
    the family has, without services whose identifiers have changed hands. `details` must be exactly what the user
    grants for these scopes (RFC 9396 section 6). With `is_repeatable`, the same request gets the same response for
    `REFRESH_REPEAT_LIFETIME`, as long as the refresh token in that response is unused (ADR 3).
    """
    found = _lock_refresh_token(refresh_token)
    now = clock.now()
    if found is None or found.row.application_id != agent.id:
        return UNUSABLE_REFRESH_TOKEN
    row, grant, _ = found
    request = RefreshRequest(scopes, resource, details)
    held = held_among(row.family.resource, grant.services)
    problem = _problem_with_refresh(found, request, held, now)
    if problem is None and grant.is_everything_stopped:
        problem = EVERYTHING_STOPPED
    if row.consumed_at is not None:
        return _repeat(found, request, problem, actor=actor, is_repeatable=is_repeatable, now=now)
    if problem:
        return problem
    with pipelined():
        issued = issue_pair(
            Event.TOKEN_REFRESHED,
            actor=actor,
            family=row.family,
            scopes=row.family.scope.split() if scopes is None else scopes,
            resource=resource or held,
            services=grant.services,
            now=now,
            chain=found.chain,
        )
        consume(row, now, keep=(request, issued) if is_repeatable else None)
    return issued


def _lock_refresh_token(refresh_token: str) -> LockedToken | None:
    """Lock the token's family, then return the token, or None if it is unknown.

    The lock serializes it with other refreshes and revocation, and a stop of everything waits until the transaction
    has ended.
    """
    values = lock_source(SOURCE, secrets.digest(refresh_token))
    if values is None:
        return None
    row, family, grant = TOKEN.make(values), FAMILY.make(values), make_grant(values)
    if row is None or family is None:
        return None
    family.consent = grant.consent
    row.family = family
    if family.delegation_id is not None:
        family.delegation = Delegation.objects.select_related("to_agent__organization").get(pk=family.delegation_id)
        family.application = family.delegation.to_agent
        return LockedToken(row, grant, read_chain(family.delegation))
    if grant.consent is not None:
        family.application = grant.consent.agent
    return LockedToken(row, grant)


def _problem_with_refresh(
    found: LockedToken, request: RefreshRequest, held: Sequence[str], now: datetime
) -> Refusal | None:
    """Return why the request cannot be granted for an unused refresh token, or None if it can.

    `held` is the part of the family's audience that still belongs to the same organizations.
    """
    row, grant, chain = found
    family = row.family
    if family.revoked_at is not None or row.expires <= now:
        return UNUSABLE_REFRESH_TOKEN
    problem = problem_with_delegation(family.delegation, chain, now) if family.delegation else None
    problem = problem or problem_with_grant(family.consent, held, grant.services, now)
    if problem:
        return Refusal("invalid_grant", problem)
    if chain and not granted_scopes(family, family.scope.split(), chain):
        return NOTHING_LEFT
    if not set(request.scopes or ()) <= set(family.scope.split()):
        return WIDER_SCOPE
    if not set(request.resource) <= set(held):
        return OTHER_RESOURCE
    return None if _is_granted(family, request, chain) else OTHER_DETAILS


def _is_granted(family: TokenFamily, request: RefreshRequest, chain: Sequence[Handover]) -> bool:
    """Return whether the authorization details are exactly those of the next access token, or left out."""
    if request.details is None or family.consent is None:
        return request.details is None
    wanted = family.scope.split() if request.scopes is None else request.scopes
    scopes = granted_scopes(family, wanted, chain)
    return asks_for_all(request.details, narrow_targets(chain, family.consent.targets, scopes), scopes)


def _repeat(
    found: LockedToken,
    request: RefreshRequest,
    problem: Refusal | None,
    *,
    actor: Actor,
    is_repeatable: bool,
    now: datetime,
) -> IssuedTokens | Refusal:
    """Handle the second use of a refresh token: repeat the first response if allowed, otherwise end the family.

    `problem` is why the first use could not be granted now.
    """
    row, _, chain = found
    kept = kept_answer(row, request, now, chain) if is_repeatable else None
    if kept is None:
        end_replayed_family(row.family, actor=actor, kind="refresh", now=now)
        return UNUSABLE_REFRESH_TOKEN
    if problem:
        return problem
    return kept if kept.scopes == granted_scopes(row.family, kept.scopes, chain) else UNUSABLE_REFRESH_TOKEN
