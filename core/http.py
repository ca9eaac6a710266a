"""Helpers shared by all HTTP surfaces: the visitor, HTTP Basic, redirects and pagination."""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_noop

from core.actor import Actor
from core.errors import NotAuthenticated
from core.messages import Reply
from core.text import plain_text

BASIC_CHALLENGE = 'Basic realm="agentgate", charset="UTF-8"'
MAX_USER_AGENT_LENGTH = 300
# Of an address to lead back to. Python keeps the last 128 addresses that it has split, however long they are.
MAX_URL_LENGTH = 2000
CONTROL = re.compile(r"[\x00-\x1f]")


def visitor(request: HttpRequest) -> Actor:
    """Return the sender of `request` as an anonymous actor. The proxy middleware has already set the address."""
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


def named_client(headers: Mapping[str, str], stated: str | None) -> str:
    """Return the client id that will be authenticated: HTTP Basic's, else the one that the body states, or ""."""
    with suppress(NotAuthenticated):
        if basic := read_basic(headers):
            return basic.name
    return stated or ""


def read_basic(headers: Mapping[str, str], header: str = "authorization") -> BasicCredential | None:
    """Return the HTTP Basic credential in `header`, in lower case, or None if the header is missing.

    Both halves are form-encoded (RFC 7617, RFC 6749 section 2.3.1). Raises `NotAuthenticated` for another scheme or
    an unreadable credential.
    """
    value = headers.get(header)
    if value is None:
        return None
    scheme, _, encoded = value.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        decoded = ""
    name, colon, secret = decoded.partition(":")
    name, secret = unquote_plus(name), unquote_plus(secret)
    # Credentials never contain control characters, and PostgreSQL raises an error for a NUL.
    if not (name and colon) or CONTROL.search(name) or CONTROL.search(secret):
        raise NotAuthenticated(gettext_noop("Use HTTP Basic with an ID and a secret."))
    return BasicCredential(name, secret)


def django_response(reply: Reply) -> HttpResponse:
    """Return Django's response for a reply that does not depend on Django."""
    response = HttpResponse(reply.body, status=reply.status)
    del response["Content-Type"]
    for name, value in reply.headers:
        response[name] = value
    return response


class SeeOther(HttpResponseRedirect):
    """A 303 redirect: the browser follows it with GET and does not resend the form (RFC 9700 section 4.12)."""

    status_code = 303


class LeaveTo(SeeOther):
    """A 303 redirect to a validated redirect URI, with any scheme and a `state` of any length."""

    def __init__(self, redirect_to: str) -> None:
        self.allowed_schemes = [urlsplit(redirect_to).scheme]
        super().__init__(redirect_to, max_length=None)


def page_after[Row: Model](rows: QuerySet[Row], last_id: str, limit: int) -> tuple[list[Row], str]:
    """Return up to `limit` rows after `last_id`, and the id to pass for the next page.

    An empty `last_id` starts the list, and an empty returned id ends it. `rows` must be in descending order of id,
    which is also newest first.
    """
    if last_id:
        rows = rows.filter(pk__lt=last_id)
    found = list(rows[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else ""
