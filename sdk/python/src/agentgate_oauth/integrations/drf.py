"""Django REST framework: `permission_classes = [require_scopes("email:send")]`.

The decision is `request.agentgate`. The guard is found as in `agentgate_oauth.integrations.django`.

The framework checks permissions again to find out what else the caller may do: the browsable API for its
forms, `OPTIONS` for its description, and a schema for its list of views. These requests are never made, so
they are not decided, and the forms, actions and views are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ..models import Decision
from ..service import Guard, Refusal, Requirement
from .django import check_request, found_guard


class Refused(APIException):
    """A refusal as an exception, which the framework turns into a response."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.status_code = refusal.status
        # Not passed to the constructor, which would turn numbers into strings.
        self.detail = dict(refusal.body)
        self.auth_header = refusal.headers.get("WWW-Authenticate")
        self.wait = int(refusal.headers.get("Retry-After", 0))


def require_scopes(
    *scopes: str,
    action: str | Callable[[Request], str | None] | None = None,
    resource: str | Callable[[Request], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[Request], Any] | None = None,
    guard: Guard | None = None,
) -> type[BasePermission]:
    """Return a permission class that lets a request through only if AgentGate allows it."""
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or found_guard()

    class ScopesRequired(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            outcome = _check_once(request, view, requirement, chosen)
            if isinstance(outcome, Refusal):
                raise Refused(outcome)
            return True

    return ScopesRequired


def _check_once(
    request: Request, view: APIView, requirement: Requirement[Any], guard: Guard
) -> Decision | Refusal:
    """Decide about a request from a client once. Raises PermissionDenied for a clone, which is never sent."""
    received, handled = request._request, request.parser_context
    # A clone has the context of the original, which names the view that handles that.
    if request.method != received.method or handled.get("view", view) is not view:
        raise PermissionDenied("Only the request itself is decided, not what else the caller could do.")
    made: list[tuple[tuple[Any, ...], Decision | Refusal]]
    made = received.__dict__.setdefault("_agentgate_outcomes", [])
    asked = (requirement, guard, handled.get("kwargs"))
    for known, outcome in made:
        if known == asked:
            return outcome
    outcome = check_request(request, requirement, guard)
    made.append((asked, outcome))
    if isinstance(outcome, Decision):
        received.agentgate = outcome  # type: ignore[attr-defined] # where clones find it, too
    return outcome
