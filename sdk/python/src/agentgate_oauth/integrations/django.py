"""Django: `@require_scopes("email:send")` on a view, synchronous or not. The decision is `request.agentgate`.

The guard is `guard=`, or that of `settings.AGENTGATE` (a dict of the arguments of `Guard`), or
`agentgate_oauth.service.default_guard`. `context`, `action` and `resource` may be functions of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views import View

from ..models import Decision
from ..service import Guard, Refusal, Requirement, default_guard

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def require_scopes(
    *scopes: str,
    action: str | Callable[[HttpRequest], str | None] | None = None,
    resource: str | Callable[[HttpRequest], str | None] | None = None,
    context: Mapping[str, Any] | Callable[[HttpRequest], Any] | None = None,
    guard: Guard | None = None,
) -> Callable[[ViewT], ViewT]:
    """Let a request through only if AgentGate allows it; otherwise answer 401, 403, 429 or 503.

    For methods of class-based views, use `django.utils.decorators.method_decorator`.
    """
    requirement = Requirement(scopes, action, resource, context)
    chosen = guard or found_guard()

    def decorate(view: ViewT) -> ViewT:
        @wraps(view)
        def sync_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            refused = _refused(request, requirement, chosen)
            return refused or view(request, *args, **kwargs)

        @wraps(view)
        async def async_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # In a thread: under WSGI each request has its own event loop, and connections end with it.
            refused = await sync_to_async(_refused, thread_sensitive=False)(request, requirement, chosen)
            return refused or await view(request, *args, **kwargs)

        return cast(ViewT, async_view if _is_asynchronous(view) else sync_view)

    return decorate


def _is_asynchronous(view: Any) -> bool:
    """Return whether the view must be awaited, as must `dispatch` of an asynchronous class-based view."""
    if iscoroutinefunction(view):
        return True
    # `method_decorator` makes a partial of the method, and other decorators may follow.
    while view is not None:
        owner = getattr(getattr(view, "func", view), "__self__", None)
        if isinstance(owner, View):
            return bool(owner.view_is_async)
        view = getattr(view, "__wrapped__", None)
    return False


def check_request(request: HttpRequest, requirement: Requirement[Any], guard: Guard) -> Decision | Refusal:
    """Return the allowed Decision, which is also set as `request.agentgate`, or the Refusal."""
    header = request.META.get("HTTP_AUTHORIZATION")
    question = requirement.question(request, request.META.get("REMOTE_ADDR"))
    outcome = guard.check([header] if header else [], question)
    if isinstance(outcome, Decision):
        request.agentgate = outcome  # type: ignore[attr-defined] # Django's requests take any attribute
    return outcome


def _refused(
    request: HttpRequest, requirement: Requirement[HttpRequest], guard: Guard
) -> HttpResponseBase | None:
    outcome = check_request(request, requirement, guard)
    if isinstance(outcome, Decision):
        return None
    return JsonResponse(
        dict(outcome.body),
        status=outcome.status,
        headers=dict(outcome.headers),
        content_type=outcome.media_type,
    )


def found_guard() -> Guard:
    """Return the guard of the settings, or the default guard. Raises ImproperlyConfigured or RuntimeError."""
    return _settings_guard() or default_guard()


@cache
def _settings_guard() -> Guard | None:
    options: dict[str, Any] | None = getattr(settings, "AGENTGATE", None)
    if not options:
        return None
    try:
        return Guard(**options)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"settings.AGENTGATE: {error}") from None
