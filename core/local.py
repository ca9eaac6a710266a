"""The user's time zone, and the locale for times, numbers and amounts of money.

The language is the page's. The region comes from the browser, so that an English page for a German browser has
German numbers: the locale is `en_DE`. Both are read when a page first needs them: the API never does.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, to_locale
from django.utils.translation.trans_real import parse_accept_lang_header

from core.zones import find_zone

ZONE_COOKIE = "timezone"

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)
# The zone of the reader of an email.
_zone: ContextVar[ZoneInfo | None] = ContextVar("zone", default=None)


class LocalMiddleware:
    """Remember the request whose page is rendered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """Format times for an email in this zone, or the server's if it has no such name."""
    token = _zone.set(find_zone(name) or ZoneInfo(settings.TIME_ZONE))
    try:
        yield
    finally:
        _zone.reset(token)


def local_zone() -> ZoneInfo:
    """Return the zone that the user chose, else the browser's (a script sets the cookie), else the server's."""
    zone = _zone.get()
    if zone is not None:
        return zone
    request = _request.get()
    if request is None:
        return ZoneInfo(settings.TIME_ZONE)
    zone = getattr(request, "_local_zone", None)
    if zone is None:
        chosen = getattr(getattr(request, "user", None), "time_zone", "")
        zone = find_zone(chosen) or find_zone(request.COOKIES.get(ZONE_COOKIE, "")) or ZoneInfo(settings.TIME_ZONE)
        request._local_zone = zone  # type: ignore[attr-defined]
    return zone


def local_locale() -> Locale:
    """Return the locale of the page's language in the browser's region, or of an email's language."""
    request, language = _request.get(), get_language() or settings.LANGUAGE_CODE
    accepted = request.headers.get("Accept-Language", "") if request and _zone.get() is None else ""
    return _locale(language, accepted[:100])


def listed(items: Iterable[str], style: Literal["standard", "or"] = "standard") -> str:
    """Return the items as a list in the language of the page, such as "a, b and c"."""
    language = get_language() or settings.LANGUAGE_CODE
    # American English has a comma before "and".
    locale = _locale("en_001" if language == settings.LANGUAGE_CODE else language, "")
    return str(format_list(list(items), style=style, locale=locale))


def listed_html(items: Iterable[str]) -> SafeString:
    """Return the items as `listed` does, and escape those that are not safe."""
    return mark_safe(listed(map(conditional_escape, items)))  # noqa: S308 -- all items are escaped


@lru_cache(maxsize=1000)
def _locale(language: str, accepted: str) -> Locale:
    """Return the first region of the header that the language is known in, else the language alone."""
    base = to_locale(language)
    regions = [tag.partition("-")[2].upper() for tag, _ in parse_accept_lang_header(accepted)]
    for name in (*(f"{base}_{region}" for region in regions if len(region) == 2), base):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")
