"""The admin site. Administrators sign in on the same page as other users."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy

from accounts.errors import ReauthenticationRequired
from accounts.recent import ask_for_password
from administration.actions import record_refused_act
from administration.areas import areas_for
from administration.emergency_page import emergency_page
from administration.kept_form import keep_form
from administration.overview import overview
from administration.search import search
from agents.emergency import emergency_stop
from core.errors import Unavailable

# Pages of Django's that none of ours needs.
UNUSED = {"app_list", "autocomplete", "jsi18n", "view_on_site"}


class AgentGateAdminSite(AdminSite):
    site_header = site_title = gettext_lazy("Administration")
    index_title = gettext_lazy("Overview")
    enable_nav_sidebar = False

    def admin_view[View: Callable[..., Any]](self, view: View, cacheable: bool = False) -> View:
        """Answer 400 to NUL characters, which PostgreSQL rejects, and 503 if part of the log cannot be read.

        Django's admin pages do not handle these errors. Pages that are forbidden or missing have the frame of the site.
        An action that none of the administrator's roles permits is logged. If an administrator must enter the password
        first, redirect to that page, which leads back. The page then shows what they had selected and typed.
        """

        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if _has_nul(request):
                raise BadRequest("Values must not contain NUL characters.")
            try:
                return view(request, *args, **kwargs)
            except PermissionDenied as error:
                if request.method == "POST":  # to read is not to act
                    act = kwargs.get("action") or request.POST.get("action", "")
                    record_refused_act(request, kwargs.get("object_id", ""), act)
                return self._problem(request, 403, str(error))
            except Http404:
                return self._problem(request, 404)
            except Unavailable as error:
                return _unavailable(request, error)
            except ReauthenticationRequired:
                keep_form(request)
                return ask_for_password(request, is_undone=request.method == "POST")

        return cast("View", super().admin_view(wrapped, cacheable))

    def _problem(self, request: HttpRequest, status: int, why: str = "") -> HttpResponse:
        """Return the page for what the administrator may not do or read, or for what does not exist."""
        context = {**self.each_context(request), "is_forbidden": status == 403, "why": why}
        return TemplateResponse(request, "admin/problem.html", context, status=status)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the areas of the navigation, and the stop of everything, which each page announces."""
        context = super().each_context(request)
        return {**context, "areas": areas_for(request), "emergency_stop": emergency_stop()}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return nothing: the areas replace the list of apps."""
        return []

    def get_urls(self) -> list[Any]:
        own = [
            path("emergency-stop/", self.admin_view(self.emergency_stop_page), name="emergency_stop"),
            path("search/", self.admin_view(self.search_page), name="search"),
        ]
        return [*own, *(url for url in super().get_urls() if getattr(url, "name", "") not in UNUSED)]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**overview(request), **(extra_context or {})})

    def search_page(self, request: HttpRequest) -> HttpResponse:
        text = request.GET.get("q", "")
        results = search(request, text)
        query = "" if results.is_secret else text
        context = {**self.each_context(request), "query": query, "results": results}
        return TemplateResponse(request, "admin/search.html", context)

    def emergency_stop_page(self, request: HttpRequest) -> HttpResponse:
        return emergency_page(request, self.each_context(request))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to our own sign-in page, which is throttled and logged. Django's is neither.

        Tell users who are signed in, but are not administrators, that the site is not for them.
        """
        if request.user.is_authenticated and not self.has_permission(request):
            return TemplateResponse(request, "admin/not_administrator.html", status=403)
        response: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return response

    def password_change(  # type: ignore[override]  # the stubs know only the response of Django's own page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to our own page, which logs the change."""
        return redirect("account_change_password")


def _unavailable(request: HttpRequest, error: Unavailable) -> HttpResponse:
    response = render(request, "web/refused.html", {"error": error}, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def _has_nul(request: HttpRequest) -> bool:
    sent = [request.path, *(value for form in (request.GET, request.POST) for value in _words(form))]
    return any("\0" in word for word in sent)


def _words(form: QueryDict) -> Iterator[str]:
    for name, values in form.lists():
        yield name
        yield from map(str, values)
