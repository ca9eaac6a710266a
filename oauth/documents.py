"""Fetching what a client publishes: its metadata document and its keys.

The address comes from whoever asks, so the fetcher is django-oauth-toolkit's: https only, one look-up whose every
address must be public, the connection to just that address, no redirects, a deadline and a size limit. The look-up
itself has no deadline, so a fetch runs in a thread of its own and a worker waits for it for a bounded time.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Any

from oauth2_provider.cimd import CIMDError
from oauth2_provider.settings import oauth2_settings

from core.actor import Actor
from core.errors import Unavailable
from limits.throttle import Throttle, address_subjects

# A process has eight workers. Six are left, however slow the hosts and their name servers are.
MAX_FETCHES = 2
FETCH_SECONDS = 6.0
FETCHES_PER_ADDRESS = "20/minute"

Document = tuple[dict[str, Any], int]

_slots = BoundedSemaphore(MAX_FETCHES)


class DocumentUnavailable(Exception):
    """The document cannot be had now. Why is for the log: it may tell what our network looks like."""


class TooManyFetches(Unavailable):
    """Other documents are being fetched. The caller tries again in a moment."""

    title = "Too many client metadata requests"


def fetch_document(url: str, actor: Actor) -> Document:
    """Return the JSON object at `url` and how many seconds it may be kept.

    One address makes us fetch this often only, whatever URLs it names. Raises `DocumentUnavailable`, `TooManyFetches`,
    `Throttled`.
    """
    Throttle("client-metadata", FETCHES_PER_ADDRESS).hit(*address_subjects(actor.ip or ""))
    fetch = oauth2_settings.CIMD_METADATA_FETCHER().fetch
    try:
        document, max_age = _run(lambda: fetch(url))
    except (CIMDError, OSError, UnicodeError, ValueError) as error:
        raise DocumentUnavailable(str(error) or type(error).__name__) from error
    return document, int(max_age)


def _run(fetch: Callable[[], Document]) -> Document:
    """Return what `fetch` returns. Raises `TimeoutError`; the thread keeps its slot until the fetch is over."""
    if not _slots.acquire(blocking=False):
        raise TooManyFetches("Try again in a moment.")
    outcome: Future[Document] = Future()

    def work() -> None:
        try:
            outcome.set_result(fetch())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            _slots.release()

    Thread(target=work, name="fetch", daemon=True).start()
    return outcome.result(timeout=FETCH_SECONDS)
