"""The admin site: who is let in comes through the same door as everybody else."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect


class AgentGateAdminSite(AdminSite):
    site_header = "AgentGate administration"
    site_title = "AgentGate"
    index_title = "Site administration"

    def admin_view[View: Callable[..., Any]](self, view: View, cacheable: bool = False) -> View:
        """Refuse a NUL before any page looks it up: PostgreSQL takes none, and Django's pages do not expect that."""

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if _has_nul(request):
                raise BadRequest("No value may hold a NUL character.")
            return view(request, *args, **kwargs)

        return cast("View", super().admin_view(wrapped, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send people to the site's own sign-in, which is throttled and logged; Django's is neither."""
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def password_change(  # type: ignore[override]  # the stubs know only Django's own page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send people to the page that logs the change."""
        return redirect("account_change_password")


def _has_nul(request: HttpRequest) -> bool:
    sent = [request.path, *(value for form in (request.GET, request.POST) for value in _words(form))]
    return any("\0" in word for word in sent)


def _words(form: QueryDict) -> Iterator[str]:
    for name, values in form.lists():
        yield name
        yield from map(str, values)
