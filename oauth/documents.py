"""Fetching what a client publishes: its metadata document and its keys.

The address comes from whoever asks, so the fetcher is django-oauth-toolkit's: https only, one look-up whose every
address must be public, the connection to just that address, no redirects, a deadline and a size limit.
"""

from threading import BoundedSemaphore
from typing import Any

from oauth2_provider.cimd import CIMDError
from oauth2_provider.settings import oauth2_settings

MAX_FETCHES = 8
_slots = BoundedSemaphore(MAX_FETCHES)


class DocumentUnavailable(Exception):
    """The document cannot be had now. Why is for the log: it may tell what our network looks like."""


def fetch_document(url: str) -> tuple[dict[str, Any], int]:
    """Return the JSON object at `url` and how many seconds it may be kept. Raises `DocumentUnavailable`.

    More fetches at once than there are slots are refused, so that slow hosts cannot hold every worker.
    """
    if not _slots.acquire(blocking=False):
        raise DocumentUnavailable("too many fetches at once")
    try:
        document, max_age = oauth2_settings.CIMD_METADATA_FETCHER().fetch(url)
    except (CIMDError, OSError, UnicodeError, ValueError) as error:
        raise DocumentUnavailable(str(error)) from error
    finally:
        _slots.release()
    return document, int(max_age)
