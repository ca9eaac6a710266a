"""FastAPI and Starlette: `decision: Annotated[Decision, Depends(require_scopes("email:send"))]`.

A refusal is an `HTTPException`, so its body is under `detail`. `context` may be an `async def`, for example
to read the request's JSON.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import HTTPException, Request

from ..models import Decision
from ..service import Guard, Refusal, Requirement, default_guard


def require_scopes(
    *scopes: str,
    action: str | Callable[[Request], str | None] | None = None,
    resource: str | Callable[[Request], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[Request], Any] | None = None,
    guard: Guard | None = None,
) -> Callable[[Request], Awaitable[Decision]]:
    """Return a dependency whose value is the Decision. A refused request gets 401, 403, 429 or 503."""
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or default_guard()

    async def decide(request: Request) -> Decision:
        details = requirement.details(request)
        if inspect.isawaitable(details):
            details = await details
        question = requirement.question_about(request, request.client and request.client.host, details)
        outcome = await chosen.acheck(request.headers.getlist("Authorization"), question)
        if isinstance(outcome, Refusal):
            raise HTTPException(outcome.status, detail=dict(outcome.body), headers=dict(outcome.headers))
        return outcome

    return decide
