"""Flask: `@require_scopes("email:send")` below `@app.route`. The decision is `flask.g.agentgate`.

`context`, `action` and `resource` may be functions of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Request, current_app, g, jsonify, request

from ..models import Decision
from ..service import Guard, Requirement, default_guard

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

        return cast(ViewT, guarded)

    return decorate
