"""The languages of the pages and mails for users. Programs, developers, administrators and logs get English."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

ENGLISH = "en"
# What programs, developers and administrators read, and what has no text. All other paths are pages for users.
ENGLISH_PATHS = (
    "/admin/",
    "/api/",
    "/developer/",
    "/docs",
    "/logos/",
    "/metrics",
    "/oauth/",
    "/security",
    "/.well-known/",
)


class LanguageMiddleware:
    """Render each request in one language: pages for users in theirs, everything else in English."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        translated = is_for_users(request.path_info)
        language = language_for(request) if translated else ENGLISH
        with translation.override(language):
            response = self.get_response(request)
        if translated:
            patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", language)
        return response


def is_for_users(path: str) -> bool:
    """Return whether the page at this path is rendered in the reader's language."""
    return not path.startswith(ENGLISH_PATHS)


def language_for(request: HttpRequest) -> str:
    """Return the language of the account, else of the cookie, else the first of `Accept-Language` that there is."""
    chosen = getattr(request.user, "language", "")
    if is_offered(chosen):
        return chosen
    return language_of_browser(request.path_info, request.COOKIES, request.headers.get("Accept-Language", ""))


def language_of_browser(path: str, cookies: Mapping[str, str], accepted: str) -> str:
    """Return the language of a page for a reader whose account is unknown. `accepted` is `Accept-Language`."""
    if not is_for_users(path):
        return ENGLISH
    chosen = cookies.get(settings.LANGUAGE_COOKIE_NAME, "")
    return chosen if is_offered(chosen) else _accepted(accepted)


def _accepted(header: str) -> str:
    for language, _ in parse_accept_lang_header(header):
        try:
            return translation.get_supported_language_variant(language)
        except LookupError:
            continue
    return ENGLISH


def is_offered(language: str) -> bool:
    """Return whether a user can choose this language."""
    return language in dict(settings.LANGUAGES)


@contextmanager
def language_of(chosen: str) -> Iterator[None]:
    """Use the language that a user chose, or English. Mails are rendered in it."""
    with translation.override(chosen if is_offered(chosen) else ENGLISH):
        yield
