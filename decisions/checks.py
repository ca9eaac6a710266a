"""The checks of a decision, in the order of their reasons. The first that says no is the answer."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.conf import settings

from consent.models import Consent
from decisions.facts import Facts
from decisions.requests import Reason, VerifyRequest

Check = Callable[[Facts, VerifyRequest, datetime], bool]


def first_reason(facts: Facts, request: VerifyRequest, now: datetime) -> Reason | None:
    """Return why the call is denied before any policy is asked. None when nothing speaks against it."""
    for reason, applies in CHECKS:
        if applies(facts, request, now):
            return reason
    return None


def missing_scopes(facts: Facts, required: Sequence[str]) -> tuple[str, ...]:
    """Return the required scopes that the token does not hold now."""
    granted = facts.granted_scopes
    return tuple(scope for scope in required if scope not in granted)


def _is_expired(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return facts.is_expired(now)


def _is_revoked(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return facts.token.family.revoked_at is not None


def _service_is_suspended(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    """A suspended organization gets no decisions for its services, neither asked by them nor in their name."""
    return facts.service is not None and not facts.service.organization.may_act


def _organization_is_suspended(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    organization = facts.agent.organization
    return organization is not None and not organization.may_act


def _agent_is_suspended(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return not facts.agent.may_act


def _user_is_inactive(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return facts.token.user is not None and not facts.token.user.is_active


def _consent_is_revoked(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    """Anything but approved or run out counts as revoked: a status nobody thought of must not allow."""
    fine = (Consent.Status.APPROVED, Consent.Status.EXPIRED)
    return facts.consent is not None and facts.consent.status not in fine


def _consent_is_expired(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return facts.consent is not None and facts.consent.status_at(now) == Consent.Status.EXPIRED


def _audience_is_wrong(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    """RFC 8707: a token is for its audience. Whoever names no registered service asks about the default one."""
    if facts.service is None:
        return settings.API_URL not in facts.audience
    return not facts.service.is_meant(facts.audience, facts.organization_id)


def _scope_is_insufficient(facts: Facts, request: VerifyRequest, now: datetime) -> bool:
    return bool(missing_scopes(facts, request.required_scopes))


CHECKS: tuple[tuple[Reason, Check], ...] = (
    (Reason.TOKEN_EXPIRED, _is_expired),
    (Reason.TOKEN_REVOKED, _is_revoked),
    (Reason.SERVICE_SUSPENDED, _service_is_suspended),
    (Reason.ORGANIZATION_SUSPENDED, _organization_is_suspended),
    (Reason.AGENT_SUSPENDED, _agent_is_suspended),
    (Reason.USER_INACTIVE, _user_is_inactive),
    (Reason.CONSENT_REVOKED, _consent_is_revoked),
    (Reason.CONSENT_EXPIRED, _consent_is_expired),
    (Reason.WRONG_AUDIENCE, _audience_is_wrong),
    (Reason.INSUFFICIENT_SCOPE, _scope_is_insufficient),
)
