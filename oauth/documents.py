"""Fetch what a client publishes: its metadata document and its keys. The caller chooses the URL (`core.fetching`)."""

import re
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import SplitResult, urlsplit

from core.actor import Actor
from core.fetching import Fetched, FetchFailed, fetch_file
from core.strict_json import parse_strictly
from limits.throttle import Throttle, address_subjects

# A process has eight workers. With the fetches of `core.fetching`, three remain available, however slow hosts are.
MAX_FETCHES = 2
FETCHES_PER_ADDRESS = "20/minute"
MAX_BYTES = 16 * 1024
# For how many seconds a document may be cached, at least and at most.
MIN_AGE, MAX_AGE = 300, 86_400
JSON_TYPE = re.compile(r"application/([\w.-]+\+)?json", re.I)
MAX_AGE_DIRECTIVE = re.compile(r"max-age\s*=\s*(\d{1,9})", re.I)
NOT_CACHED = re.compile(r"no-store|no-cache", re.I)

type Document = tuple[dict[str, Any], int]

_slots = BoundedSemaphore(MAX_FETCHES)


class DocumentUnavailable(Exception):
    """The document cannot be fetched. Log the reason but do not send it, because it can reveal our network."""


def fetch_document(url: str, actor: Actor) -> Document:
    """Return the JSON object at `url` and for how many seconds it may be cached.

    The fetches per caller's address are limited, for all URLs together. Raises `DocumentUnavailable`, `TooManyFetches`,
    `Throttled`.
    """
    Throttle("client-metadata", FETCHES_PER_ADDRESS).hit(*address_subjects(actor.ip or ""))
    try:
        return read_document(fetch_url(url))
    except (FetchFailed, UnicodeError, ValueError) as error:
        raise DocumentUnavailable(str(error) or type(error).__name__) from error


def fetch_url(url: str) -> Fetched:
    """Return what the URL answers with. Raises `FetchFailed`, `TooManyFetches`, and `ValueError` for a wrong URL."""
    parts = _split(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    accept = "application/json, application/*+json"
    return fetch_file(parts.hostname or "", path, max_bytes=MAX_BYTES, port=parts.port, accept=accept, slots=_slots)


def read_document(fetched: Fetched) -> Document:
    """Return the JSON object, if every parser reads it the same way. Raises `ValueError`."""
    media_type = fetched.content_type.partition(";")[0].strip()
    if not JSON_TYPE.fullmatch(media_type):
        raise ValueError(f"the document is not JSON (Content-Type: {media_type!r})")
    document = parse_strictly(fetched.content.decode())  # raises `NotStrict`
    if not isinstance(document, dict):
        raise ValueError("the document must be a JSON object")
    return document, _age(fetched.cache_control)


def _split(url: str) -> SplitResult:
    """Return the parts of a URL of a client (CIMD section 3). Raises `ValueError`."""
    parts = urlsplit(url)
    is_whole = parts.scheme == "https" and parts.hostname and parts.path
    if not is_whole or "@" in parts.netloc or "#" in url or {".", ".."} & set(parts.path.split("/")):
        raise ValueError("not an https URL with a host and a path, or one with userinfo, a fragment or dot segments")
    return parts


def _age(cache_control: str) -> int:
    """Return for how long the document may be cached: as its server says, within bounds."""
    if NOT_CACHED.search(cache_control):
        return MIN_AGE
    said = MAX_AGE_DIRECTIVE.search(cache_control)
    return max(MIN_AGE, min(int(said[1]), MAX_AGE)) if said else MAX_AGE
