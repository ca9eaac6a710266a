"""Authentication by API key, session token or browser session. A wrong credential never counts as no credential."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext_noop
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import SessionToken, User
from accounts.selectors import require_verified_address, session_for_token
from accounts.sessions import record_token_use
from core.errors import Forbidden, NotAuthenticated
from core.http import visitor
from developers.access import Access, access_of_key
from developers.api_keys import use_api_key
from developers.models import ApiKey

API_KEY_HEADER = "X-Api-Key"
API_KEY_MISPLACED = f"This is an API key. Send it in {API_KEY_HEADER}, without Authorization."
SESSION_TOKEN_MISPLACED = "This is a session token. Send it as Authorization: Bearer."
SESSION_TOKEN_REQUIRED = "Send the session token (st_...) of an active session."


class MultipleCredentials(NotAuthenticated):
    """The request has two credentials, which can belong to different callers."""

    code = "multiple_credentials"
    title = gettext_noop("Only one credential is allowed")
    remedy = "Send X-Api-Key or Authorization, not both."


class CsrfFailed(Forbidden):
    code = "csrf_failed"
    title = gettext_noop("CSRF verification failed")
    remedy = "Send the page's CSRF token in X-CSRFToken, or use a session token instead of the browser session."


@dataclass(frozen=True, slots=True)
class ApiKeyCredential:
    """An API key of a developer or of an organization. It acts for the organization, never for the user."""

    access: Access
    key: ApiKey


@dataclass(frozen=True, slots=True)
class SessionCredential:
    """A user's session token."""

    session: SessionToken


@dataclass(frozen=True, slots=True)
class BrowserCredential:
    """A user's browser session, after the CSRF check."""


Credential = ApiKeyCredential | SessionCredential | BrowserCredential


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate `X-Api-Key: ag_...`. Raises `NotAuthenticated`, `EmailUnverified` or `MultipleCredentials`."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Credential] | None:
        api_key = request.headers.get(API_KEY_HEADER)
        if api_key is None:
            return None
        if "Authorization" in request.headers:
            raise MultipleCredentials("Send X-Api-Key or Authorization, not both.")
        key = use_api_key(api_key)
        if key is None:
            is_session = api_key.startswith("st_")
            raise NotAuthenticated(SESSION_TOKEN_MISPLACED if is_session else "The API key is unknown or revoked.")
        if key.developer is None:
            return AnonymousUser(), ApiKeyCredential(access_of_key(key), key)
        require_verified_address(key.developer.user)
        return key.developer.user, ApiKeyCredential(access_of_key(key), key)


class SessionTokenAuthentication(BaseAuthentication):
    """Authenticate `Authorization: Bearer st_...` (RFC 6750 section 2.1).

    Raises `NotAuthenticated` for every other value, including an agent's access token.
    """

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        session = session_for_token(token) if scheme.lower() == "bearer" and token.startswith("st_") else None
        if session is None:
            is_api_key = (token or scheme).startswith("ag_")
            raise NotAuthenticated(API_KEY_MISPLACED if is_api_key else SESSION_TOKEN_REQUIRED)
        record_token_use(actor=visitor(request._request), session=session)
        return session.user, SessionCredential(session)


class BrowserSessionAuthentication(BaseAuthentication):
    """Authenticate the browser session if the request has no other credential.

    Raises `CsrfFailed` for an unsafe method without a valid CSRF token.
    """

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        user: User | AnonymousUser = request._request.user
        if isinstance(user, AnonymousUser) or not user.is_active:
            return None
        check = _CsrfCheck(HttpResponse)
        check.process_request(request._request)
        reason = check.process_view(request._request, HttpResponse, (), {})
        if reason:
            raise CsrfFailed("Send the page's CSRF token in X-CSRFToken.")
        return user, BrowserCredential()


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check, returning the reason of a failure instead of an error page."""

    def _reject(self, request: object, reason: str) -> str:
        return reason
