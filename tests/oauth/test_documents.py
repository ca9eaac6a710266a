"""Fetching clients' documents occupies at most two workers, however slow their name servers are."""

import socket
import time
from collections.abc import Iterator
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from oauth2_provider.cimd import CIMDError

from tests.oauth.client import error_of


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """A name server that responds when the event is set."""
    from oauth import documents

    answering = Event()

    def look_up(*args: Any, **kwargs: Any) -> Any:
        answering.wait(30)
        raise socket.gaierror("no such host")

    monkeypatch.setattr(documents, "FETCH_SECONDS", 0.2)
    monkeypatch.setattr("oauth2_provider.cimd.socket.getaddrinfo", look_up)
    yield answering
    answering.set()
    for _ in range(documents.MAX_FETCHES):  # wait until the threads have released their slots
        assert documents._slots.acquire(timeout=5)
    documents._slots.release(documents.MAX_FETCHES)


def test_a_hanging_name_server_takes_a_bounded_time_and_two_slots(world: Any, name_server: Event) -> None:
    from oauth import documents
    from oauth.documents import DocumentUnavailable, TooManyFetches, fetch_document

    started = time.monotonic()
    for number in (1, 2):
        with pytest.raises(DocumentUnavailable):
            fetch_document(f"https://slow-{number}.example/c", world.ANONYMOUS)
    assert 0.4 <= time.monotonic() - started < 2

    started = time.monotonic()
    with pytest.raises(TooManyFetches):
        fetch_document("https://slow-3.example/c", world.ANONYMOUS)
    assert time.monotonic() - started < documents.FETCH_SECONDS, "it waits for no other"


def test_a_slot_is_released_when_the_name_server_responds(world: Any, name_server: Event) -> None:
    from oauth import documents

    name_server.set()
    for number in range(6):
        with pytest.raises(documents.DocumentUnavailable, match="resolve"):
            documents.fetch_document(f"https://gone-{number}.example/c", world.ANONYMOUS)
        assert documents._slots.acquire(timeout=5), "the thread did not release its slot"
        documents._slots.release()


def test_a_busy_server_says_when_to_try_again(world: Any, name_server: Event, published: Any) -> None:
    from oauth import documents
    from tests.oauth.documents import CLAUDE_CODE
    from tests.oauth.test_metadata_documents import client_of

    client = client_of(world, CLAUDE_CODE)
    slots = [documents._slots.acquire(blocking=False) for _ in range(documents.MAX_FETCHES)]
    assert all(slots)
    try:
        page = client.authorize(redirect_uri="http://localhost:1/callback")
        pushed = client.post("/oauth/par", **client.parameters(redirect_uri="http://localhost:1/callback"))
    finally:
        documents._slots.release(documents.MAX_FETCHES)

    assert (page.status_code, page["Retry-After"]) == (503, "1")
    assert (pushed.status_code, pushed["Retry-After"]) == (503, "1")
    assert error_of(pushed) == "temporarily_unavailable"


def test_fetches_are_limited_by_address(world: Any, published: Any) -> None:
    from core.errors import Throttled
    from oauth.documents import DocumentUnavailable, fetch_document

    for number in range(20):
        with pytest.raises(DocumentUnavailable):
            fetch_document(f"https://{number}.example/c", world.ANONYMOUS)
    with pytest.raises(Throttled):
        fetch_document("https://last.example/c", world.ANONYMOUS)


def read_document(body: bytes) -> Any:
    from oauth.documents import StrictFetcher

    headers = {"Content-Type": "application/json"}
    response = SimpleNamespace(status=200, headers=headers, read=lambda size: body[:size])
    return StrictFetcher()._read_document(response)[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"redirect_uris": [], "redirect_uris": []}', "more than once"),
        (b'{"x": %s1%s}' % (b"[" * 40, b"]" * 40), "nested deeper"),
        (b'{"x": 1e400}', "at most"),
        (b'{"x": "\xff"}', "utf-8"),
        (b"[]", "must be a JSON object"),
        (b'{"x": "%s"}' % (b"x" * 200_000), "maximum"),
    ],
    ids=["repeated", "deep", "large", "bytes", "list", "long"],
)
def test_a_document_that_parsers_may_read_differently_is_refused(world: Any, body: bytes, message: str) -> None:
    with pytest.raises((CIMDError, ValueError), match=message):
        read_document(body)


def test_a_document_that_all_parsers_read_alike_is_read(world: Any) -> None:
    assert read_document(b'{"x": 1}') == {"x": 1}


def test_the_default_fetcher_is_strict(world: Any) -> None:
    from agentgate import settings

    assert settings.OAUTH2_PROVIDER["CIMD_METADATA_FETCHER"] == "oauth.documents.StrictFetcher"
