"""What all HTTP surfaces share: the visitor, HTTP Basic, redirects, and pages of a list."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect

from core.actor import Actor
from core.errors import NotAuthenticated
from core.text import plain_text

BASIC_CHALLENGE = 'Basic realm="agentgate", charset="UTF-8"'
MAX_USER_AGENT_LENGTH = 300


def visitor(request: HttpRequest) -> Actor:
    """Return the sender of `request`, not yet identified. The proxy middleware has settled the address."""
    return Actor(
        "anonymous",
        ip=request.META.get("REMOTE_ADDR") or None,
        user_agent=plain_text(request.headers.get("User-Agent", "")[:MAX_USER_AGENT_LENGTH]),
        request_id=getattr(request, "request_id", ""),
    )


@dataclass(frozen=True, slots=True)
class BasicCredential:
    """The two halves of an HTTP Basic credential."""

    name: str
    secret: str

    def __repr__(self) -> str:
        return f"BasicCredential({self.name!r})"


def read_basic(request: Any, header: str = "Authorization") -> BasicCredential | None:
    """Return the HTTP Basic credential in `header`. None without the header.

    Both halves are form-encoded (RFC 7617, RFC 6749 section 2.3.1). Raises `NotAuthenticated` for another scheme or
    an unreadable credential.
    """
    value = request.headers.get(header)
    if value is None:
        return None
    scheme, _, encoded = value.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        decoded = ""
    name, colon, secret = decoded.partition(":")
    name, secret = unquote_plus(name), unquote_plus(secret)
    # Control characters are never part of one, and PostgreSQL does not even look up a NUL.
    if not (name and colon) or any(letter < " " for letter in name + secret):
        raise NotAuthenticated("Use HTTP Basic with an ID and a secret.")
    return BasicCredential(name, secret)


class SeeOther(HttpResponseRedirect):
    """303: the request is done, get the next page there (RFC 9700 section 4.12)."""

    status_code = 303


class LeaveTo(SeeOther):
    """303 to a redirect URI that has been validated, whatever its scheme and the length of `state`."""

    def __init__(self, redirect_to: str) -> None:
        self.allowed_schemes = [urlsplit(redirect_to).scheme]
        super().__init__(redirect_to, max_length=None)


def page_after[Row: Model](rows: QuerySet[Row], last_id: str, limit: int) -> tuple[list[Row], str]:
    """Return up to `limit` rows after `last_id`, and the last one's id. Both ids are empty at the ends of the list.

    `rows` are sorted by falling id, which sorts them by time.
    """
    if last_id:
        rows = rows.filter(pk__lt=last_id)
    found = list(rows[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else ""
