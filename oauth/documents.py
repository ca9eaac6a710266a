"""Fetch what a client publishes: its metadata document and its keys.

The URL comes from the caller, so we use django-oauth-toolkit's fetcher: https only, one DNS lookup whose every
address must be public, a connection to that address only, no redirects, a deadline and a size limit. The lookup
itself has no deadline, so each fetch runs in a separate thread and the worker waits for a bounded time.
"""

from http.client import OK
from threading import BoundedSemaphore
from types import SimpleNamespace
from typing import Any

from django.utils.translation import gettext_noop
from oauth2_provider.cimd import CIMDError, SafeMetadataFetcher
from oauth2_provider.settings import oauth2_settings

from core.actor import Actor
from core.errors import Unavailable
from core.slots import run_in_slot
from core.strict_json import parse_strictly
from limits.throttle import Throttle, address_subjects

# A process has eight workers. With the fetches of `core.fetching`, three remain available, however slow hosts are.
MAX_FETCHES = 2
FETCH_SECONDS = 6.0
FETCHES_PER_ADDRESS = "20/minute"

Document = tuple[dict[str, Any], int]

_slots = BoundedSemaphore(MAX_FETCHES)


class StrictFetcher(SafeMetadataFetcher):
    """The toolkit's fetcher, for documents that every parser reads the same way."""

    def _read_document(self, response: Any) -> Document:
        most = oauth2_settings.CIMD_MAX_DOCUMENT_SIZE
        body = response.read(most + 1)
        if response.status == OK and len(body) <= most:
            parse_strictly(body.decode())  # raises `NotStrict`
        kept = SimpleNamespace(status=response.status, headers=response.headers, read=lambda size: body)
        document: Document = super()._read_document(kept)
        return document


class DocumentUnavailable(Exception):
    """The document cannot be fetched. Log the reason but do not send it, because it can reveal our network."""


class TooManyFetches(Unavailable):
    """Too many documents are being fetched. The caller should try again in a moment."""

    title = gettext_noop("Too many client metadata requests")


def fetch_document(url: str, actor: Actor) -> Document:
    """Return the JSON object at `url` and for how many seconds it may be cached.

    The fetches per caller's address are limited, for all URLs together. Raises `DocumentUnavailable`, `TooManyFetches`,
    `Throttled`.
    """
    Throttle("client-metadata", FETCHES_PER_ADDRESS).hit(*address_subjects(actor.ip or ""))
    fetch = oauth2_settings.CIMD_METADATA_FETCHER().fetch
    busy = TooManyFetches("Try again in a moment.")
    try:
        document, max_age = run_in_slot(lambda: fetch(url), slots=_slots, seconds=FETCH_SECONDS, busy=busy)
    except (CIMDError, OSError, UnicodeError, ValueError) as error:
        raise DocumentUnavailable(str(error) or type(error).__name__) from error
    return document, int(max_age)
