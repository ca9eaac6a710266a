"""How pages look: the theme and the language, in the account of a signed-in user and in a cookie of the browser.

The form is in the footer of all pages and on the page of the account.
"""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.choices import THEMES, change_profile, choose_theme
from core.http import SeeOther
from core.languages import is_offered
from web.requests.access import page, posted_from, user_actor

THEME_COOKIE = "theme"
COOKIE_SECONDS = 365 * 86_400
# What browsers say of a form on our pages, and of a reload of its answer.
OWN_SITE = ("same-origin", "none")
# The system's theme is an empty value, and has no cookie. Each has the name of its icon.
THEME_CHOICES = (
    ("", gettext_noop("System"), "laptop"),
    ("light", gettext_noop("Light"), "sun"),
    ("dark", gettext_noop("Dark"), "moon"),
)


def theme_of(request: HttpRequest | None) -> str:
    """Return the theme that the user or the browser has chosen, or an empty string for the system's."""
    if request is None:
        return ""
    chosen = getattr(getattr(request, "user", None), "theme", "") or request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


@csrf_exempt
def choose(request: HttpRequest) -> HttpResponseBase:
    """Store the theme or the language, and return to the page with the form.

    Visitors get no cookie before they choose, so their form has no CSRF token. A form on another site comes without
    the session, so it looks like a visitor's: it must not choose a language in which the user cannot read a request.
    """
    if request.user.is_authenticated:
        return csrf_protect(_choose)(request)
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in OWN_SITE:
        raise PermissionDenied("Other sites cannot choose how pages look.")
    return _choose(request)


@posted_from("web:landing")
@page
def _choose(request: HttpRequest) -> HttpResponse:
    response = SeeOther(get_next_redirect_url(request) or reverse("web:landing"))
    theme, language = request.POST.get("theme"), request.POST.get("language", "")
    if theme in THEMES:
        if request.user.is_authenticated:
            choose_theme(user=request.user, theme=theme)
        _keep(response, THEME_COOKIE, theme)
    if is_offered(language):
        if request.user.is_authenticated:
            change_profile(actor=user_actor(request), user=request.user, language=language)
        _keep(response, settings.LANGUAGE_COOKIE_NAME, language)
    return response


def _keep(response: HttpResponse, name: str, value: str) -> None:
    options: dict[str, Any] = {"secure": settings.SESSION_COOKIE_SECURE, "httponly": True, "samesite": "Lax"}
    if value:
        response.set_cookie(name, value, max_age=COOKIE_SECONDS, **options)
    else:
        response.delete_cookie(name, samesite="Lax")
