"""The checks of a decision. The first that fails determines the reason."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings

from agents.stops import Stopper
from consent.statuses import ConsentStatus
from decisions.facts import ServiceFacts, TokenFacts
from decisions.requests import Reason


def first_reason(
    token: TokenFacts, service: ServiceFacts | None, required_scopes: Sequence[str], now: datetime
) -> Reason | None:
    """Return why a request is denied before any policy is evaluated, or None if all checks pass."""
    return next(_reasons(token, service, required_scopes, now), None)


def missing_scopes(token: TokenFacts, required_scopes: Sequence[str]) -> tuple[str, ...]:
    """Return the required scopes that the token does not grant now."""
    granted = token.granted_scopes
    return tuple(scope for scope in required_scopes if scope not in granted)


def _reasons(
    token: TokenFacts, service: ServiceFacts | None, required_scopes: Sequence[str], now: datetime
) -> Iterator[Reason]:
    """Yield the reasons to deny, in the order that the API documents. The caller uses only the first."""
    if token.expires_at <= now:
        yield Reason.TOKEN_EXPIRED
    if token.is_family_revoked:
        yield Reason.TOKEN_REVOKED
    yield from _stops(token, service)
    yield from _problems_with_consent(token, now)
    if not _is_audience_right(token, service):
        yield Reason.WRONG_AUDIENCE
    if missing_scopes(token, required_scopes):
        yield Reason.INSUFFICIENT_SCOPE


def _stops(token: TokenFacts, service: ServiceFacts | None) -> Iterator[Reason]:
    # All requests for the services of a suspended organization are denied, including those of anonymous callers.
    if service is not None and service.is_organization_suspended:
        yield Reason.SERVICE_SUSPENDED
    stopper = token.stopper
    if stopper is Stopper.ORGANIZATION:
        yield Reason.ORGANIZATION_SUSPENDED
    elif stopper is not None:
        yield Reason.AGENT_SUSPENDED
    if token.user_id is not None and not token.is_user_active:
        yield Reason.USER_INACTIVE


def _problems_with_consent(token: TokenFacts, now: datetime) -> Iterator[Reason]:
    if token.consent_id is None:
        return
    # Every other status counts as revoked, so that a status added later denies.
    if token.consent_status not in (ConsentStatus.APPROVED, ConsentStatus.EXPIRED):
        yield Reason.CONSENT_REVOKED
    if token.consent_status_at(now) == ConsentStatus.EXPIRED:
        yield Reason.CONSENT_EXPIRED


def _is_audience_right(token: TokenFacts, service: ServiceFacts | None) -> bool:
    """Return whether the token is for the service (RFC 8707), or for the default audience if there is no service."""
    if service is None:
        return settings.API_URL in token.audience
    return service.accepts(token.audience, token.organization_id)
