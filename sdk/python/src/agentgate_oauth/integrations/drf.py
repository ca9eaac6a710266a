"""Django REST framework: `permission_classes = [require_scopes("email:send")]`.

The decision is `request.agentgate`. The guard is found as in `agentgate_oauth.integrations.django`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

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
            outcome = check_request(request, requirement, chosen)
            if isinstance(outcome, Refusal):
                raise Refused(outcome)
            return True

    return ScopesRequired
