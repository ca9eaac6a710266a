"""The admin site. Administrators sign in on the same page as other users."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import path

from agentgate.emergency_page import emergency_page
from agents.emergency import emergency_stop
from core.errors import Unavailable
from web.access import refused


class AgentGateAdminSite(AdminSite):
    site_header = "AgentGate administration"
    site_title = "AgentGate"
    index_title = "Site administration"

    def admin_view[View: Callable[..., Any]](self, view: View, cacheable: bool = False) -> View:
        """Answer 400 to NUL characters, which PostgreSQL rejects, and 503 if the log cannot be read completely.

        Django's admin pages do not handle these errors.
        """

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if _has_nul(request):
                raise BadRequest("Values must not contain NUL characters.")
            try:
                return view(request, *args, **kwargs)
            except Unavailable as error:
                return refused(request, error)

        return cast("View", super().admin_view(wrapped, cacheable))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the stop of everything, which each page announces."""
        return {**super().each_context(request), "emergency_stop": emergency_stop()}

    def get_urls(self) -> list[Any]:
        page = path("emergency-stop/", self.admin_view(self.emergency_stop_page), name="emergency_stop")
        return [page, *super().get_urls()]

    def emergency_stop_page(self, request: HttpRequest) -> HttpResponse:
        return emergency_page(request, self.each_context(request))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to our own sign-in page, which is throttled and logged. Django's is neither."""
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def password_change(  # type: ignore[override]  # the stubs know only the response of Django's own page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to our own page, which logs the change."""
        return redirect("account_change_password")


def _has_nul(request: HttpRequest) -> bool:
    sent = [request.path, *(value for form in (request.GET, request.POST) for value in _words(form))]
    return any("\0" in word for word in sent)


def _words(form: QueryDict) -> Iterator[str]:
    for name, values in form.lists():
        yield name
        yield from map(str, values)
