"""A service's responses to refused requests: RFC 6750 challenges, and JSON with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._retry import MAX_RETRY_AFTER
from ..models import Decision

APPROVAL_REQUIRED = "approval_required"
# The token is not valid and cannot become valid: the caller needs another one.
_TOKEN_REASONS = frozenset(
    {
        "invalid_token",
        "token_expired",
        "token_revoked",
        "organization_suspended",
        "organization_stopped",
        "agent_suspended",
        "user_inactive",
        "delegation_ended",
        "consent_revoked",
        "consent_expired",
        "wrong_audience",
    }
)


@dataclass(frozen=True)
class Refusal:
    """A response to the caller: status, headers and a JSON body.

    `approval_id` and `approval_url` are set if the user can still allow the request there.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    approval_id: str | None = None
    approval_url: str | None = None


@dataclass(frozen=True)
class Challenge:
    """The constant parts of `WWW-Authenticate`: the metadata URL (RFC 9728) and the realm."""

    realm: str | None = None
    resource_metadata: str | None = None

    def header(self, scopes: Sequence[str], error: str | None = None, description: str | None = None) -> str:
        parameters = {
            "realm": self.realm,
            "error": error,
            "error_description": description,
            "scope": " ".join(scopes) or None,
            "resource_metadata": self.resource_metadata,
        }
        listed = ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters.items() if value)
        return f"Bearer {listed}".rstrip()


def no_token(challenge: Challenge, scopes: Sequence[str]) -> Refusal:
    """Return 401 without an `error`, because no token was sent (RFC 6750 section 3.1)."""
    body = {"error": "unauthorized", "error_description": "a bearer token is required"}
    return Refusal(401, body, {"WWW-Authenticate": challenge.header(scopes)})


def bad_token(challenge: Challenge, scopes: Sequence[str], reason: str = "invalid_token") -> Refusal:
    text = "the token is not valid"
    body = {"error": "invalid_token", "error_description": text, "reason": reason}
    return Refusal(401, body, {"WWW-Authenticate": challenge.header(scopes, "invalid_token", text)})


def unavailable(retry_after: float | None) -> Refusal:
    """Return 503, because AgentGate did not decide."""
    body = {
        "error": "temporarily_unavailable",
        "error_description": "authorization cannot be checked at the moment",
    }
    return Refusal(503, body, {"Retry-After": str(_bounded(retry_after or 1))})


def refusal(decision: Decision, challenge: Challenge, scopes: Sequence[str]) -> Refusal | None:
    """Return the refusal, None for an allowed decision. Unknown reasons are refused, too."""
    if decision.allowed is True:
        return None
    reason = decision.reason or "denied"
    if reason in _TOKEN_REASONS:
        return bad_token(challenge, scopes, reason)
    if reason == "insufficient_scope":
        return _insufficient_scope(decision, challenge, scopes)
    if reason == APPROVAL_REQUIRED:
        return _approval_required(decision)
    return _denied(decision, reason)


def _insufficient_scope(decision: Decision, challenge: Challenge, scopes: Sequence[str]) -> Refusal:
    """Return 403 with every scope that is needed, also the one that covers the action (RFC 6750 section 3.1).

    If none is missing, no scope covers the action. Another token would not help, so there is no challenge.
    """
    missing = decision.missing_scopes
    text = "the token does not have every required scope" if missing else "no scope covers the action"
    body = {
        "error": "insufficient_scope",
        "error_description": text,
        **_details(decision, "insufficient_scope"),
    }
    if not missing:
        return Refusal(403, body)
    needed = tuple(dict.fromkeys((*scopes, *missing)))
    challenged = {"WWW-Authenticate": challenge.header(needed, "insufficient_scope", text)}
    return Refusal(403, {**body, "scope": " ".join(needed)}, challenged)


def _approval_required(decision: Decision) -> Refusal:
    """Return 403 as problem details (RFC 9457): where the user approves it, or that they denied it."""
    is_denied = decision.approval_status == "denied"
    title = "The user denied this request" if is_denied else "The user must approve this request"
    if is_denied:
        text = f"{title}. Do not send it again."
    elif decision.approval_url:
        text = f"The user must approve this request at {decision.approval_url}. Then send it again."
    else:
        text = "The user must approve this request, but has too many requests to decide. Try again later."
    body = {
        "type": "about:blank",
        "title": title,
        "status": 403,
        "detail": text,
        "code": APPROVAL_REQUIRED,
        "error": APPROVAL_REQUIRED,
        "error_description": text,
        **_details(decision, APPROVAL_REQUIRED),
    }
    return Refusal(
        403,
        body,
        _retry_after(decision),
        "application/problem+json",
        approval_id=None if is_denied else decision.approval_id,
        approval_url=None if is_denied else decision.approval_url,
    )


def _denied(decision: Decision, reason: str) -> Refusal:
    """Return 429 for a rate limit, else 403: another token would not help."""
    rate_limited = decision.policy is not None and decision.policy.rule_type == "rate_limit"
    body = {
        "error": "rate_limited" if rate_limited else "access_denied",
        "error_description": f"the request is not allowed{_when(decision, reason)}",
        **_details(decision, reason),
    }
    return Refusal(429 if rate_limited else 403, body, _retry_after(decision))


def _when(decision: Decision, reason: str) -> str:
    """Return " now" unless a policy denies, and no time was named after which it does not."""
    return "" if reason == "policy_denied" and decision.retry_after_seconds is None else " now"


def _retry_after(decision: Decision) -> dict[str, str]:
    seconds = decision.retry_after_seconds
    return {} if seconds is None else {"Retry-After": str(_bounded(seconds))}


def _bounded(seconds: float) -> int:
    return round(min(max(1, seconds), MAX_RETRY_AFTER))


def _details(decision: Decision, reason: str) -> dict[str, Any]:
    policy, seconds = decision.policy, decision.retry_after_seconds
    details = {
        "reason": reason,
        "missingScopes": list(decision.missing_scopes) or None,
        "policy": policy and {"id": policy.id, "name": policy.name, "ruleType": policy.rule_type},
        "retryAfterSeconds": seconds and _bounded(seconds),
        "approvalId": decision.approval_id,
        "approvalUrl": decision.approval_url,
        "approvalStatus": decision.approval_status,
        "auditId": decision.audit_id,
    }
    return {name: value for name, value in details.items() if value is not None}


def _quoted(text: str) -> str:
    # A quoted-string (RFC 9110 section 5.6.4). Characters that could end the header are removed.
    printable = "".join(character for character in text if " " <= character <= "~")
    return printable.replace("\\", "\\\\").replace('"', '\\"')
