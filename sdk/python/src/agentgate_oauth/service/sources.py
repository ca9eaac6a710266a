"""Sources of decisions: AgentGate's verify and introspection. `offline` has a third one."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Protocol

from .._api.tokens import introspect_token, verify_token
from .._call import Credential
from .._effects import Flow
from .._retry import RetryPolicy, perform
from ..errors import UnexpectedResponseError
from ..models import Decision, Introspection
from .requirement import Question

_UNKNOWN = ("actions", "policies", "approvals")


class DecisionSource(Protocol):
    def decide(self, token: str, question: Question) -> Flow[Decision]:
        """Return the decision. Raises AgentGateError if AgentGate does not decide."""
        ...


class VerifySource:
    """Decides by live state, scopes and policies. Each call counts against limits and is logged."""

    def __init__(self, credential: Credential, retry: RetryPolicy) -> None:
        self._credential = credential
        self._retry = retry

    def decide(self, token: str, question: Question) -> Flow[Decision]:
        call = verify_token(token, question.scopes, question.action, question.resource, question.context)
        return perform(call, self._credential, self._retry)


class IntrospectionSource:
    """Decides by live state and scopes (RFC 7662), without the action and without policies."""

    def __init__(self, credential: Credential, retry: RetryPolicy) -> None:
        self._credential = credential
        self._retry = retry

    def decide(self, token: str, question: Question) -> Flow[Decision]:
        found = yield from perform(introspect_token(token), self._credential, self._retry)
        if not found.active:
            return Decision(allowed=False, reason="invalid_token", unknown=_UNKNOWN)
        return by_scopes(found, question, unknown=_UNKNOWN)


def by_scopes(found: Introspection, question: Question, unknown: tuple[str, ...]) -> Decision:
    """Return the decision about a valid token by its scopes only."""
    missing = tuple(scope for scope in question.scopes if scope not in found.scopes)
    return Decision(
        allowed=not missing,
        reason="insufficient_scope" if missing else None,
        user_id=found.sub if found.consent_id else None,
        agent_id=found.client_id,
        consent_id=found.consent_id,
        actor=found.actor,
        chain=found.chain,
        granted_scopes=found.scopes,
        expires_at=None if found.exp is None else _moment(found.exp),
        missing_scopes=missing,
        unknown=unknown,
    )


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        problem = "Introspection.exp is not a time"
    raise UnexpectedResponseError(problem)
