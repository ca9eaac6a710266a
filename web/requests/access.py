"""Access control for pages, and how pages show errors from the domain."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.errors import EmailUnverified, ReauthenticationRequired
from accounts.models import User
from accounts.recent import ask_for_password, time_of_sign_in
from accounts.selectors import require_verified_address
from core.actor import Actor
from core.errors import DomainError, NotFound
from core.http import SeeOther, visitor
from developers.access import access_of_member
from developers.acting import as_developer_in_session
from developers.activity import note_activity
from developers.models import Developer
from developers.refusals import record_refusal
from developers.role_words import NAMES
from developers.roles import Right, RoleInsufficient, roles_with
from developers.selectors import memberships_of
from web.requests.kept_post import keeps_form
from web.requests.portal import remember

View = Callable[..., HttpResponseBase]
METHODS_OF_FORMS = ["GET", "HEAD", "POST"]


def signed_in(request: HttpRequest) -> User:
    """Return the signed-in user. Call it only behind `for_users` or `for_developers`."""
    return cast("User", request.user)


def user_actor(request: HttpRequest) -> Actor:
    return visitor(request).acting_as("user", signed_in(request).id)


def developer_actor(request: HttpRequest, developer: Developer) -> Actor:
    return as_developer_in_session(visitor(request), developer, time_of_sign_in(request))


def page(view: View) -> View:
    """Turn a `DomainError` into a page. Return 404 both for missing objects and for those of others.

    If the user must first verify their email address or enter their password, redirect to that page, which then
    redirects back.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404 from error
        except EmailUnverified as error:
            messages.warning(request, f"{_(error.title)}. {error.translated}")
            return SeeOther(f"{reverse('account_email')}?next={quote(request.path)}")
        except ReauthenticationRequired:
            return ask_for_password(request, is_undone=request.method == "POST")
        except DomainError as error:
            return refused(request, error)

    return wrapped


def with_next(name: str, wanted: str | None) -> str:
    """Return the URL of the page `name`, which continues to `wanted` if that is not empty."""
    return f"{reverse(name)}?{urlencode({'next': wanted})}" if wanted else reverse(name)


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Return the page for an error."""
    context: dict[str, Any] = {"error": error}
    if hasattr(request, "developer"):  # the portal's other pages are a click away
        context["layout"] = "layouts/developer.html"
        if isinstance(error, RoleInsufficient) and error.right:
            words = get_text_list([str(NAMES[role]) for role in roles_with(error.right)])
            return render(request, "web/portal/role_refused.html", context | {"sufficient": words}, status=error.status)
    response = render(request, "web/refused.html", context, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def for_users(view: View) -> View:
    """Require a signed-in user, and never cache the page."""
    return never_cache(login_required(page(view)))


def user_page(view: View) -> View:
    """Make a page for users that only reads."""
    return require_safe(for_users(view))


def user_form(view: View) -> View:
    """Make a page for users with a form, which it takes itself."""
    return require_http_methods(METHODS_OF_FORMS)(for_users(view))


def posted_from(form_page: str, *names: str) -> Callable[[View], View]:
    """Make a view that only takes POST. GET redirects to the page with the form, passing the URL's `names`.

    If the session has ended, the browser returns here with GET after the user signs in again. The query is kept,
    because it may have the page's filters.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method in ("GET", "HEAD"):
                of_url = request.resolver_match.kwargs if request.resolver_match else kwargs
                url, query = reverse(form_page, kwargs={name: of_url[name] for name in names}), request.GET.urlencode()
                return redirect(f"{url}?{query}" if query else url)
            return view(request, *args, **kwargs)

        return require_http_methods(METHODS_OF_FORMS)(wrapped)

    return decorate


def _suspended(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Return the page that says why the organization cannot use the portal."""
    context = {"organization": developer.organization}
    return render(request, "web/portal/agents/suspended.html", context, status=403)


def _enter(
    request: HttpRequest, developer: Developer, right: Right, view: View, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    """Return a page of the portal. Members of a suspended organization see only the page about the suspension.

    Raises `RoleInsufficient`, after logging it.
    """
    require_verified_address(developer.user)
    request.developer = developer  # type: ignore[attr-defined]  # the header and the links name their organization
    note_activity(developer)
    if not developer.organization.may_act:
        return _suspended(request, developer)
    access = access_of_member(developer)
    try:
        access.require(right)
        return view(request, developer, *args, **kwargs)
    except RoleInsufficient as error:
        act = request.resolver_match.view_name if request.resolver_match else view.__name__
        actor = developer_actor(request, developer)
        record_refusal(actor=actor, access=access, error=error, right=right, act=act)
        raise


class Rights(NamedTuple):
    """What a page requires to open it, and to send its form."""

    get: Right
    post: Right


def for_developers(right: Right, *, post: Right | None = None) -> Callable[[View], View]:
    """Require a member of the organization that the URL names, with this right, and pass the `Developer` to the view.

    `post` is the right to send the page's form, if it is another one. The form is kept if the user must enter their
    password first (`web.requests.kept_post`).
    """
    rights = Rights(right, post or right)

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, organization_id: str, **kwargs: Any) -> HttpResponseBase:
            memberships = list(memberships_of(signed_in(request)))
            developer = next((one for one in memberships if one.organization_id == organization_id), None)
            request.memberships = memberships  # type: ignore[attr-defined]  # the header lists them
            if developer is None:
                return render(request, "web/portal/not_member.html", status=403)
            required = rights.post if request.method == "POST" else rights.get
            response = _enter(request, developer, required, view, *args, **kwargs)
            remember(request, response, organization_id)
            return response

        wrapped.rights = rights  # type: ignore[attr-defined]
        return for_users(keeps_form(wrapped))

    return decorate


def developer_page(right: Right) -> Callable[[View], View]:
    """Make a page for members with this right that only reads."""
    return lambda view: require_safe(for_developers(right)(view))


def developer_form(right: Right, *, post: Right | None = None) -> Callable[[View], View]:
    """Make a page for members with this right that takes its form itself, from members with the right `post`."""
    return lambda view: require_http_methods(METHODS_OF_FORMS)(for_developers(right, post=post)(view))


class PrivatePagesMiddleware:
    """Mark all responses to a signed-in user `no-store`, including public pages and errors.

    They show the user's name, and others may use the browser later.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # A response for which the session was not read contains nothing about the user.
        if request.session.accessed and request.user.is_authenticated:
            add_never_cache_headers(response)
        return response
