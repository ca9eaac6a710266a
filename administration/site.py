"""The admin site. Administrators sign in on the same page as other users."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, cast

from allauth.account.decorators import secure_admin_login
from django.contrib.admin import AdminSite
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy

from accounts.errors import ReauthenticationRequired
from accounts.recent import require_recent_sign_in, time_of_sign_in
from administration.emergency_page import emergency_page
from agents.emergency import emergency_stop
from core.admin_actions import administrator
from core.errors import Unavailable
from core.kept_form import keep_form
from core.text import plain_text
from web.requests.access import ask_for_password, refused

# Pages of Django's that none of ours needs.
UNUSED = {"app_list", "autocomplete", "jsi18n", "view_on_site"}
# Longer ids and names of actions are cut in the log.
MAX_LOGGED = 100


class AgentGateAdminSite(AdminSite):
    site_header = site_title = gettext_lazy("Administration")
    index_title = gettext_lazy("Overview")
    enable_nav_sidebar = False

    def admin_view[View: Callable[..., Any]](self, view: View, cacheable: bool = False) -> View:
        """Answer 400 to NUL characters, which PostgreSQL rejects, and 503 if the log cannot be read completely.

        Django's admin pages do not handle these errors. What is forbidden or missing is said in the frame of the site.
        An act that no role of the administrator permits is logged. If an administrator must enter the password first,
        redirect to that page, which then leads back. The page then shows what they had selected and which reason they
        had typed.
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
                    self.record_refusal(request, kwargs.get("object_id", ""), act)
                return self._problem(request, 403, str(error))
            except Http404:
                return self._problem(request, 404)
            except Unavailable as error:
                return refused(request, error)
            except ReauthenticationRequired:
                keep_form(request)
                return ask_for_password(request, is_undone=request.method == "POST")

        return cast("View", super().admin_view(wrapped, cacheable))

    def require_recent_sign_in(self, request: HttpRequest) -> None:
        """Raise `ReauthenticationRequired` unless the administrator has signed in a moment ago."""
        require_recent_sign_in(time_of_sign_in(request))

    def _problem(self, request: HttpRequest, status: int, why: str = "") -> HttpResponse:
        """Return the page for an administrator to whom something is forbidden, or who looks for what does not exist."""
        context = {**self.each_context(request), "is_forbidden": status == 403, "why": why}
        return TemplateResponse(request, "admin/problem.html", context, status=status)

    def record_refusal(self, request: HttpRequest, row_id: str, act: str) -> None:
        """Log that the administrator may not do this. `row_id` and `act` are what they sent, or empty."""
        from accounts.access import record_refusal  # imports models

        sent = {"row": plain_text(row_id)[:MAX_LOGGED], "action": plain_text(act)[:MAX_LOGGED]}
        page = request.resolver_match.view_name if request.resolver_match else ""
        metadata = {name: text for name, text in sent.items() if text}
        record_refusal(actor=administrator(request), page=page, metadata=metadata)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the areas of the navigation, and the stop of everything, which each page announces."""
        from administration.areas import areas_for  # imports models

        context = super().each_context(request)
        return {**context, "areas": areas_for(request), "emergency_stop": emergency_stop()}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return nothing: the areas replace the list of apps."""
        return []

    def get_urls(self) -> list[Any]:
        own = [
            path("emergency-stop/", self.admin_view(self.emergency_stop_page), name="emergency_stop"),
            path("denials/", self.admin_view(self.denials_page), name="denials"),
            path("search/", self.admin_view(self.search_page), name="search"),
        ]
        return [*own, *(url for url in super().get_urls() if getattr(url, "name", "") not in UNUSED)]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from administration.overview import overview  # imports models

        return super().index(request, {**overview(request), **(extra_context or {})})

    def denials_page(self, request: HttpRequest) -> HttpResponse:
        from administration.areas import may_read  # these import models
        from administration.overview import denials
        from audit.models import Entry

        if not may_read(request, Entry):
            raise PermissionDenied
        return TemplateResponse(request, "admin/denials.html", {**self.each_context(request), **denials(request)})

    def join(self, request: HttpRequest, row: Any) -> Any:
        """Return what the page of this row shows besides the row itself, or None."""
        from administration.objects import join  # imports models

        return join(request, row)

    def figures_of(self, request: HttpRequest, row: Any) -> list[Any]:
        """Return the numbers about this row, each with the URL of the list of what it counts."""
        from administration.objects import read_figures  # imports models

        return read_figures(request, row)

    def search_page(self, request: HttpRequest) -> HttpResponse:
        from administration.search import search  # imports models

        text = request.GET.get("q", "")
        results = search(request, text)
        query = "" if results.is_secret else text
        context = {**self.each_context(request), "query": query, "results": results}
        return TemplateResponse(request, "admin/search.html", context)

    def emergency_stop_page(self, request: HttpRequest) -> HttpResponse:
        return emergency_page(request, self.each_context(request))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to our own sign-in page, which is throttled and logged. Django's is neither.

        Say to users who are signed in, but are no administrators, that the site is not for them.
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


def _has_nul(request: HttpRequest) -> bool:
    sent = [request.path, *(value for form in (request.GET, request.POST) for value in _words(form))]
    return any("\0" in word for word in sent)


def _words(form: QueryDict) -> Iterator[str]:
    for name, values in form.lists():
        yield name
        yield from map(str, values)
