"""Recognize a browser by a cookie, so that a flow can be finished only in the browser that started it.

All flows in a browser share one cookie. Each stores the cookie's digest, so several can be open at once.
"""

import re
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.secrets import digest

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_secret(request: HttpRequest) -> str:
    """Return the secret in the browser's cookie, or a new one to set with `remember_browser`."""
    secret = request.COOKIES.get(settings.BROWSER_COOKIE_NAME, "")
    return secret if SECRET.fullmatch(secret) else secrets.token_urlsafe(32)


def browser_digest(request: HttpRequest) -> str:
    """Return the digest of the browser's secret, or an empty string if it has none."""
    secret = request.COOKIES.get(settings.BROWSER_COOKIE_NAME, "")
    return digest(secret) if SECRET.fullmatch(secret) else ""


def remember_browser(response: HttpResponse, secret: str) -> None:
    """Set the cookie for the lifetime of a consent request. Each new request renews it."""
    response.set_cookie(
        settings.BROWSER_COOKIE_NAME,
        secret,
        max_age=settings.CONSENT_REQUEST_LIFETIME,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
