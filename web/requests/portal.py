"""The organization that each URL of the portal names, and the one that a browser opened last."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts.models import User
from developers.models import Developer
from developers.selectors import membership_in, memberships_of
from web.requests.ids import ORGANIZATION_ID

COOKIE_SECONDS = 365 * 86_400


def portal_url(organization_id: str, name: str, *args: Any, query: Mapping[str, str] | None = None) -> str:
    """Return the URL of a page of the portal, about this organization."""
    return reverse(f"portal:{name}", args=[organization_id, *args], query=query or None)


def last_membership(request: HttpRequest, user: User) -> Developer | None:
    """Return the user's membership in the organization that this browser opened last, or else the oldest one."""
    last = request.COOKIES.get(settings.ORGANIZATION_COOKIE_NAME, "")
    opened = membership_in(user, last) if ORGANIZATION_ID.fullmatch(last) else None
    return opened or memberships_of(user).first()


def remember(request: HttpRequest, response: HttpResponseBase, organization_id: str) -> None:
    """Let the browser remember the organization, unless it does already."""
    name = settings.ORGANIZATION_COOKIE_NAME
    if request.COOKIES.get(name) == organization_id:
        return
    options: dict[str, Any] = {"secure": settings.SESSION_COOKIE_SECURE, "httponly": True, "samesite": "Lax"}
    response.set_cookie(name, organization_id, max_age=COOKIE_SECONDS, **options)
