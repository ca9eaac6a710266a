"""Recognize a browser by a cookie.

One cookie binds a flow to the browser that started it. All flows in a browser share it, and each stores its digest, so
several can be open at once. Another one lasts longer and tells whether a user has signed in with this browser before.
"""

import re
import secrets
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from core.secrets import digest

# How long a device is recognized after a sign-in: the longest that browsers keep a cookie.
KNOWN_DEVICE_LIFETIME = timedelta(days=400)
# How long a request for consent waits for the user.
CONSENT_REQUEST_LIFETIME = timedelta(minutes=10)

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def browser_secret(request: HttpRequest) -> str:
    """Return the secret in the browser's cookie, or a new one to set with `remember_browser`."""
    return _secret_in(request, settings.BROWSER_COOKIE_NAME) or secrets.token_urlsafe(32)


def browser_digest(request: HttpRequest) -> str:
    """Return the digest of the browser's secret, or an empty string if it has none."""
    secret = _secret_in(request, settings.BROWSER_COOKIE_NAME)
    return digest(secret) if secret else ""


def remember_browser(response: HttpResponse, secret: str) -> None:
    """Set the cookie for the lifetime of a consent request. Each new request renews it."""
    _set_cookie(response, settings.BROWSER_COOKIE_NAME, secret, CONSENT_REQUEST_LIFETIME)


def device_secret(request: HttpRequest) -> tuple[str, bool]:
    """Return the secret in the cookie that recognizes a device, or a new one to set with `remember_device`.

    The second value is whether it is new.
    """
    sent = _secret_in(request, settings.DEVICE_COOKIE_NAME)
    return sent or secrets.token_urlsafe(32), not sent


def remember_device(response: HttpResponse, secret: str) -> None:
    """Set the cookie for as long as the device is known. Each sign-in renews it."""
    _set_cookie(response, settings.DEVICE_COOKIE_NAME, secret, KNOWN_DEVICE_LIFETIME)


def _secret_in(request: HttpRequest, cookie: str) -> str:
    secret = request.COOKIES.get(cookie, "")
    return secret if SECRET.fullmatch(secret) else ""


def _set_cookie(response: HttpResponse, cookie: str, secret: str, lifetime: timedelta) -> None:
    response.set_cookie(
        cookie,
        secret,
        max_age=lifetime,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
