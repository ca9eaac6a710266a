"""The checks of a decision. The first that fails determines the reason."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from agents.stops import Stopper
from consent.statuses import ConsentStatus
from decisions.facts import ServiceFacts, TokenFacts
from decisions.requests import Reason
from tokens.chains import Handover, is_chain_live

STOPS = {
    Stopper.ORGANIZATION: Reason.ORGANIZATION_SUSPENDED,
    Stopper.MEMBERS: Reason.ORGANIZATION_STOPPED,
    Stopper.ADMINISTRATOR: Reason.AGENT_SUSPENDED,
    Stopper.DEVELOPER: Reason.AGENT_SUSPENDED,
}


def first_reason(
    token: TokenFacts,
    service: ServiceFacts | None,
    required_scopes: Sequence[str],
    now: datetime,
    *,
    is_action_denied: bool = False,
    path: Sequence[str] = (),
    chain: Sequence[Handover] = (),
) -> Reason | None:
    """Return why a request is denied before any policy is evaluated, or None if all checks pass.

    The checks are in the order that the API documents. `is_action_denied` is whether no granted scope covers the
    action. `path` are the delegations that the token names, and `chain` those of them that were found.
    """
    if token.expires_at <= now:
        return Reason.TOKEN_EXPIRED
    if token.is_family_revoked:
        return Reason.TOKEN_REVOKED
    stop = _find_stop(token, service)
    if stop is None and path and not is_chain_live(path, chain, now):
        stop = Reason.DELEGATION_ENDED
    stop = stop or _find_problem_with_consent(token, now)
    if stop is not None:
        return stop
    if not _is_audience_right(token, service, chain[0].organization_id if chain else token.organization_id):
        return Reason.WRONG_AUDIENCE
    is_insufficient = is_action_denied or missing_scopes(token, required_scopes)
    return Reason.INSUFFICIENT_SCOPE if is_insufficient else None


def missing_scopes(token: TokenFacts, required_scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the required scopes that the token does not grant now."""
    granted = token.granted_scopes
    return tuple(scope for scope in required_scopes if scope not in granted)


def _find_stop(token: TokenFacts, service: ServiceFacts | None) -> Reason | None:
    # All requests for the services of a suspended organization are denied, including those of anonymous callers.
    if token.is_everything_stopped or (service is not None and service.is_suspended):
        return Reason.SERVICE_SUSPENDED
    stopper = token.stopper
    if stopper is not None:
        return STOPS[stopper]
    if token.user_id is not None and not token.is_user_active:
        return Reason.USER_INACTIVE
    return None


def _find_problem_with_consent(token: TokenFacts, now: datetime) -> Reason | None:
    if token.consent_id is None:
        return None
    # Every other status counts as revoked, so that a status added later denies.
    if token.consent_status not in (ConsentStatus.APPROVED, ConsentStatus.EXPIRED):
        return Reason.CONSENT_REVOKED
    if token.consent_status_at(now) == ConsentStatus.EXPIRED:
        return Reason.CONSENT_EXPIRED
    return Reason.CONSENT_PAUSED if token.is_paused else None


def _is_audience_right(token: TokenFacts, service: ServiceFacts | None, granting: str | None) -> bool:
    """Return whether the token is for the service (RFC 8707), or for the default audience if there is no service.

    `granting` is the organization of the agent to which the user granted.
    """
    if service is None:
        return settings.API_URL in token.audience
    return service.accepts(token.audience, token.owners, granting)
