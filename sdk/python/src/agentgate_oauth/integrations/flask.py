"""Flask: `@require_scopes("email:send")` below `@app.route`. The decision is `flask.g.agentgate`.

`context`, `action` and `resource` may be functions of the request. Above `@app.route` it guards nothing,
because Flask serves the view without it. The log then has a warning: when the module is loaded, or, for
blueprints and apps that a function creates, at the first request.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakSet

from flask import Flask, Request, current_app, g, jsonify, request, request_started

from ..models import Decision
from ..service import Guard, Requirement, default_guard

logger = logging.getLogger("agentgate_oauth")
# The views as they were before they were guarded. None of them may be served.
_bare_views: WeakSet[Any] = WeakSet()
_looked_through: WeakSet[Flask] = WeakSet()
_MAX_DECORATORS = 20

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def require_scopes(
    *scopes: str,
    action: str | Callable[[Request], str | None] | None = None,
    resource: str | Callable[[Request], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[Request], Any] | None = None,
    guard: Guard | None = None,
) -> Callable[[ViewT], ViewT]:
    """Let a request through only if AgentGate allows it; otherwise answer 401, 403, 429 or 503."""
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or default_guard()

    def decorate(view: ViewT) -> ViewT:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            question = requirement.question(request, request.remote_addr)
            headers = request.headers.getlist("Authorization")
            outcome = chosen.check(headers, question)
            if not isinstance(outcome, Decision):
                answer_headers = {**outcome.headers, "Content-Type": outcome.media_type}
                return jsonify(outcome.body), outcome.status, answer_headers
            g.agentgate = outcome
            return current_app.ensure_sync(view)(*args, **kwargs)

        _remember(view)
        return cast(ViewT, guarded)

    return decorate


def _remember(view: Any) -> None:
    bare = view
    for _ in range(_MAX_DECORATORS):  # others may be between the route and the guard
        with contextlib.suppress(TypeError):  # some callable objects cannot be kept so
            _bare_views.add(bare)
        bare = getattr(bare, "__wrapped__", bare)
    for value in list(getattr(bare, "__globals__", {}).values()):
        if issubclass(type(value), Flask):  # isinstance would evaluate lazy objects
            _warn_of_bare_views(value)


def _warn_of_bare_views(app: Flask) -> None:
    for endpoint, view in app.view_functions.items():
        if any(view is bare for bare in _bare_views):
            _bare_views.discard(view)  # once is enough
            logger.warning("%s is served without its guard: put require_scopes below the route", endpoint)


def _look_through(app: Flask, **_: object) -> None:
    if app not in _looked_through:
        _looked_through.add(app)
        _warn_of_bare_views(app)


request_started.connect(_look_through)
