"""The checks of a decision. The first that fails determines the reason."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings

from agents.stops import Stopper
from consent.models import Consent
from decisions.facts import Facts
from decisions.requests import Reason, VerifyRequest


def first_reason(facts: Facts, request: VerifyRequest, now: datetime) -> Reason | None:
    """Return why the request is denied before any policy is evaluated, or None if all checks pass."""
    return next(_reasons(facts, request, now), None)


def missing_scopes(facts: Facts, required: Sequence[str]) -> tuple[str, ...]:
    """Return the required scopes that the token does not grant now."""
    granted = facts.granted_scopes
    return tuple(scope for scope in required if scope not in granted)


def _reasons(facts: Facts, request: VerifyRequest, now: datetime) -> Iterator[Reason]:
    """Yield the reasons to deny, in the order that the API documents. The caller uses only the first."""
    if facts.is_expired(now):
        yield Reason.TOKEN_EXPIRED
    if facts.token.family.revoked_at is not None:
        yield Reason.TOKEN_REVOKED
    yield from _stops(facts)
    yield from _problems_with_consent(facts.consent, now)
    if not _is_audience_right(facts):
        yield Reason.WRONG_AUDIENCE
    if missing_scopes(facts, request.required_scopes):
        yield Reason.INSUFFICIENT_SCOPE


def _stops(facts: Facts) -> Iterator[Reason]:
    # All requests for the services of a suspended organization are denied, including those of anonymous callers.
    if facts.service is not None and not facts.service.organization.may_act:
        yield Reason.SERVICE_SUSPENDED
    stopper = facts.agent.stopped_by
    if stopper is Stopper.ORGANIZATION:
        yield Reason.ORGANIZATION_SUSPENDED
    elif stopper is not None:
        yield Reason.AGENT_SUSPENDED
    if facts.token.user is not None and not facts.token.user.is_active:
        yield Reason.USER_INACTIVE


def _problems_with_consent(consent: Consent | None, now: datetime) -> Iterator[Reason]:
    if consent is None:
        return
    # Every other status counts as revoked, so that a status added later denies.
    if consent.status not in (Consent.Status.APPROVED, Consent.Status.EXPIRED):
        yield Reason.CONSENT_REVOKED
    if consent.status_at(now) == Consent.Status.EXPIRED:
        yield Reason.CONSENT_EXPIRED


def _is_audience_right(facts: Facts) -> bool:
    """Return whether the token is for the service (RFC 8707), or for the default audience if there is no service."""
    if facts.service is None:
        return settings.API_URL in facts.audience
    return facts.service.accepts(facts.audience, facts.organization_id)
