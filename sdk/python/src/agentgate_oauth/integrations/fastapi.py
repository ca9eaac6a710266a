"""FastAPI and Starlette: `decision: Annotated[Decision, Depends(require_scopes("email:send"))]`.

A refusal is an `HTTPException`, so its body is under `detail`. `context` may be an `async def`, for example
to read the request's JSON. A WebSocket is decided when it is opened, not for each of its messages.

`FastAPI(dependencies=[...])` guards the routes of the app itself, but nothing that `app.mount`, `app.host` or
`app.add_route` adds. The log has a warning of each at the first request that is guarded. The same holds for
the dependencies of a router and its `mount`, `host` and `add_route`, without a warning.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakSet

from fastapi import FastAPI, HTTPException
from fastapi.requests import HTTPConnection
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import Host, Mount, Route, WebSocketRoute

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
            _warn_of_bare_routes(app, decide)
        details = requirement.details(request)
        if inspect.isawaitable(details):
            details = await details
        question = requirement.question_about(request, request.client and request.client.host, details)
        outcome = await chosen.acheck(request.headers.getlist("Authorization"), question)
        if isinstance(outcome, Refusal):
            raise HTTPException(outcome.status, detail=dict(outcome.body), headers=dict(outcome.headers))
        return outcome

    return decide


def _warn_of_bare_routes(app: Any, dependency: object) -> None:
    """Log, at the first guarded request, what an app serves without the guard that it has for all routes."""
    if not isinstance(app, FastAPI) or dependency not in [one.dependency for one in app.router.dependencies]:
        return
    for served in _bare_routes(app.routes):
        logger.warning("The app's require_scopes does not guard %s: guard it itself", served)


def _bare_routes(routes: Iterable[Any]) -> Iterator[str]:
    """Yield the paths and hosts without dependencies: mounted apps and routes of Starlette, not the docs."""
    for route in routes:
        if isinstance(route, Host):
            yield route.host
        elif isinstance(route, Mount):
            yield route.path
        elif isinstance(route, APIRoute | APIWebSocketRoute):
            continue
        elif isinstance(route, Route | WebSocketRoute):
            yield from [route.path] if getattr(route, "include_in_schema", True) else []
        else:  # newer versions keep an included router as one route
            yield from _bare_routes(getattr(getattr(route, "original_router", None), "routes", ()))
