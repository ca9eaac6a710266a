"""FastAPI and Starlette: `decision: Annotated[Decision, Depends(require_scopes("email:send"))]`.

A refusal is an `HTTPException`, so its body is under `detail`. `context` may be an `async def`, for example
to read the request's JSON. A WebSocket is decided when it is opened, not for each of its messages.

`FastAPI(dependencies=[...])` guards the routes of the app itself, but nothing that `app.mount` adds.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakSet

from fastapi import FastAPI, HTTPException
from fastapi.requests import HTTPConnection
from starlette.routing import Mount

from ..models import Decision
from ..service import Guard, Refusal, Requirement, default_guard

logger = logging.getLogger("agentgate_oauth")


def require_scopes(
    *scopes: str,
    action: str | Callable[[Any], str | None] | None = None,
    resource: str | Callable[[Any], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[Any], Any] | None = None,
    guard: Guard | None = None,
) -> Callable[[Any], Awaitable[Decision]]:
    """Return a dependency whose value is the Decision. A refused request gets 401, 403, 429 or 503."""
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or default_guard()
    looked_through: WeakSet[Any] = WeakSet()

    async def decide(request: HTTPConnection) -> Decision:
        app = request.scope.get("app")
        if app is not None and app not in looked_through:
            looked_through.add(app)
            _warn_of_mounts(app, decide)
        details = requirement.details(request)
        if inspect.isawaitable(details):
            details = await details
        question = requirement.question_about(request, request.client and request.client.host, details)
        outcome = await chosen.acheck(request.headers.getlist("Authorization"), question)
        if isinstance(outcome, Refusal):
            raise HTTPException(outcome.status, detail=dict(outcome.body), headers=dict(outcome.headers))
        return outcome

    return decide


def _warn_of_mounts(app: Any, dependency: object) -> None:
    """Log, at the first guarded request, what is mounted in an app whose own routes all have the guard."""
    if not isinstance(app, FastAPI) or dependency not in [one.dependency for one in app.router.dependencies]:
        return
    for path in [route.path for route in app.routes if isinstance(route, Mount)]:
        logger.warning("%s is mounted, so the app's require_scopes does not guard it: guard it itself", path)
