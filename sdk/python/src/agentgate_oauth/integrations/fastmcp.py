"""FastMCP: `AgentGateTokenVerifier` for the server, `@require_scopes("email:send")` on each tool.

The verifier answers HTTP requests with 401 if the token is not valid, and with 403 if it lacks the scopes
that every request needs. It uses introspection, so it counts nothing. `require_scopes` decides about one call
of a tool, with its arguments, and refuses with a tool error that contains JSON. Inside the tool,
`current_decision()` returns the decision. If the user must approve the call, clients that can open URLs show
them the page; other clients get the link in the tool error.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from fastmcp.exceptions import ToolError
from fastmcp.server.auth import AccessToken, RemoteAuthProvider, TokenVerificationError, TokenVerifier
from fastmcp.server.dependencies import get_http_request
from mcp_types import InputRequiredResult
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .._checks import listed_or_none
from ..errors import AgentGateError
from ..models import Decision
from ..service import Guard, Refusal, Requirement, default_guard
from ..service.refusals import unavailable
from ..service.requirement import Question
from ._fastmcp_approval import Shown, report_decided, show_link

logger = logging.getLogger("agentgate_oauth")

ToolT = TypeVar("ToolT", bound=Callable[..., Any])
Arguments = Mapping[str, Any]
_decision: ContextVar[Decision] = ContextVar("agentgate_decision")


def current_decision() -> Decision:
    """Return the decision that allowed this call. Raises LookupError outside a guarded tool."""
    return _decision.get()


class AgentGateTokenVerifier(TokenVerifier):
    """Checks tokens for `FastMCP(auth=...)` or `AgentGateAuthProvider`, with a guard of mode "introspect"."""

    def __init__(self, guard: Guard, required_scopes: list[str] | None = None, **options: Any) -> None:
        scopes = listed_or_none("required_scopes", required_scopes, "scopes")
        super().__init__(required_scopes=scopes, **options)
        self._guard = guard

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            decision = await self._guard.adecide(token, Question((), None, None, {}))
        except AgentGateError as error:
            raise Unavailable(str(error), getattr(error, "retry_after", None)) from None
        if not decision.allowed:
            return None
        expires_at = decision.expires_at
        return AccessToken(
            token=token,
            client_id=decision.agent_id or "",
            subject=decision.user_id,  # with the client, the owner of an MCP session
            scopes=list(decision.granted_scopes),
            expires_at=None if expires_at is None else int(expires_at.timestamp()),
            claims={"sub": decision.user_id, "consent_id": decision.consent_id},
        )

    def get_middleware(self) -> list[Any]:
        return [Middleware(AnswerUnavailable), *super().get_middleware()]


class AgentGateAuthProvider(RemoteAuthProvider):
    """A `RemoteAuthProvider` that answers 503 if a token cannot be checked; FastMCP would answer 500."""

    def get_middleware(self) -> list[Any]:
        return [Middleware(AnswerUnavailable), *super().get_middleware()]


class Unavailable(TokenVerificationError):
    """A token could not be checked. `retry_after` is in seconds, None if unknown."""

    def __init__(self, text: str, retry_after: float | None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class AnswerUnavailable:
    """Answers 503 if a token could not be checked; FastMCP would answer 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Unavailable as error:
            refused = unavailable(error.retry_after)
            response = JSONResponse(refused.body, refused.status, dict(refused.headers))
            await response(scope, receive, send)


def require_scopes(
    *scopes: str,
    action: str | Callable[[Arguments], str | None] | None = None,
    resource: str | Callable[[Arguments], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[Arguments], Any] | None = None,
    guard: Guard | None = None,
    wait_for_approval: timedelta = timedelta(seconds=45),
) -> Callable[[ToolT], ToolT]:
    """Decide before each call of a tool; `action`, `resource`, `context` may be functions of its arguments.

    Once a client has opened the page where the user approves the call, it waits for them for
    `wait_for_approval`. Clients may give up on slow calls.

    Put it below `@mcp.tool`. Above it, FastMCP serves the tool without the guard, and the log has a warning.
    Over stdio every call is refused, because there is no HTTP request with a token.
    """
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or default_guard()

    def decorate(tool: ToolT) -> ToolT:
        signature = inspect.signature(tool)
        if hasattr(tool, "__fastmcp__"):  # the mark of `@mcp.tool`
            name = getattr(tool, "__name__", tool)
            logger.warning("%s is served without its guard: put require_scopes below the tool", name)

        @wraps(tool)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            decided = await _decide(requirement, bound.arguments, chosen, wait_for_approval)
            if isinstance(decided, InputRequiredResult):
                return decided
            _decision.set(decided)
            if inspect.iscoroutinefunction(tool):
                return await tool(*args, **kwargs)
            return await asyncio.to_thread(tool, *args, **kwargs)

        return cast(ToolT, guarded)

    return decorate


async def _decide(
    requirement: Requirement[Arguments], arguments: Arguments, guard: Guard, patience: timedelta
) -> Decision | InputRequiredResult:
    authorization, caller_ip = _caller()
    question = requirement.question(arguments, caller_ip)
    outcome = await guard.acheck(authorization, question)
    if isinstance(outcome, Refusal) and outcome.approval_id:
        shown = await show_link(outcome)
        if isinstance(shown, InputRequiredResult):
            return shown
        if shown is Shown.OPENED and await guard.await_decision(outcome.approval_id, patience):
            await report_decided(outcome)
            outcome = await guard.acheck(authorization, question)
    if isinstance(outcome, Refusal):
        raise ToolError(json.dumps(outcome.body))
    return outcome


def _caller() -> tuple[list[str], str | None]:
    try:
        request = get_http_request()
    except RuntimeError:
        return [], None
    return request.headers.getlist("Authorization"), request.client and request.client.host
