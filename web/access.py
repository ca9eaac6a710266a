"""Who may see a page, and how a refusal of the domain looks there."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.errors import EmailUnverified
from accounts.models import User
from accounts.selectors import require_verified_address
from core.actor import Actor, visitor
from core.errors import DomainError, NotFound
from developers.acting import as_developer
from developers.models import Developer
from developers.selectors import developer_for_user
from web.responses import SeeOther

View = Callable[..., HttpResponse]


def signed_in(request: HttpRequest) -> User:
    """Return the person; only behind `person_page` and `developer_page`."""
    return cast("User", request.user)


def person_actor(request: HttpRequest) -> Actor:
    return visitor(request).acting_as("user", signed_in(request).id)


def developer_actor(request: HttpRequest, developer: Developer) -> Actor:
    return as_developer(visitor(request), developer)


def page(view: View) -> View:
    """Show what the domain refuses: absent and somebody else's as the same 404, the rest with its reason.

    Where the address must be proved first, that page comes first and leads back.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404 from error
        except EmailUnverified as error:
            messages.warning(request, f"{error.title}. {error.detail}")
            return SeeOther(f"{reverse('account_email')}?next={quote(request.path)}")
        except DomainError as error:
            return render(request, "web/refused.html", {"error": error}, status=error.status)

    return wrapped


def person_page(view: View) -> View:
    """A page of the signed-in person; it is never kept in a cache."""
    return never_cache(login_required(page(view)))


def posted_from(form_page: str, *names: str) -> Callable[[View], View]:
    """Make a view that only a form posts to. GET leads to the page with the form, which needs the arguments `names`.

    A browser whose session had ended comes back here with GET once the person has signed in.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method in ("GET", "HEAD"):
                return redirect(form_page, **{name: kwargs[name] for name in names})
            return view(request, *args, **kwargs)

        return require_http_methods(["GET", "HEAD", "POST"])(wrapped)

    return decorate


def suspended(request: HttpRequest, developer: Developer) -> HttpResponse:
    """Answer with why the organization may not use the portal, in place of any of its pages."""
    context = {"organization": developer.organization}
    return render(request, "web/developer/suspended.html", context, status=403)


def developer_page(view: View) -> View:
    """A page of the portal. The view gets the `Developer`; a person who is not one yet is led to becoming one.

    A suspended organization gets none of them, neither to read nor to write.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        developer = developer_for_user(signed_in(request))
        if developer is None:
            return redirect("web:developer")
        require_verified_address(developer.user)
        if not developer.organization.may_act:
            return suspended(request, developer)
        return view(request, developer, *args, **kwargs)

    return person_page(wrapped)
