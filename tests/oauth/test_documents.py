"""Fetching clients' documents occupies at most two workers, however slow their name servers are."""

import socket
import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from tests.oauth.client import error_of
from tests.shared import cases


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """A name server that responds when the event is set."""
    from core import fetching
    from oauth import documents

    answering = Event()

    def look_up(host: str) -> list[str]:
        answering.wait(30)
        raise socket.gaierror("no such host")

    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.2)
    monkeypatch.setattr(fetching, "look_up", look_up)
    yield answering
    answering.set()
    for _ in range(documents.MAX_FETCHES):  # wait until the threads have released their slots
        assert documents._slots.acquire(timeout=5)
    documents._slots.release(documents.MAX_FETCHES)


def test_a_hanging_name_server_takes_a_bounded_time_and_two_slots(world: Any, name_server: Event) -> None:
    from core import fetching
    from core.fetching import TooManyFetches
    from oauth.documents import DocumentUnavailable, fetch_document

    started = time.monotonic()
    for number in (1, 2):
        with pytest.raises(DocumentUnavailable):
            fetch_document(f"https://slow-{number}.example/c", world.ANONYMOUS)
    assert 0.4 <= time.monotonic() - started < 5

    started = time.monotonic()
    with pytest.raises(TooManyFetches):
        fetch_document("https://slow-3.example/c", world.ANONYMOUS)
    assert time.monotonic() - started < fetching.FETCH_SECONDS, "it waits for no other"


def test_a_slot_is_released_when_the_name_server_responds(world: Any, name_server: Event) -> None:
    from oauth import documents

    name_server.set()
    for number in range(6):
        with pytest.raises(documents.DocumentUnavailable, match="no such host"):
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


def read_document(body: bytes, content_type: str = "application/json", cache_control: str = "") -> Any:
    from core.fetching import Fetched
    from oauth import documents

    return documents.read_document(Fetched(body, content_type, cache_control))


@cases(
    ("body", "message"),
    [
        (b'{"redirect_uris": [], "redirect_uris": []}', "more than once"),
        (b'{"x": %s1%s}' % (b"[" * 40, b"]" * 40), "nested deeper"),
        (b'{"x": 1e400}', "at most"),
        (b'{"x": "\xff"}', "utf-8"),
        (b"[]", "must be a JSON object"),
    ],
    ids=["repeated", "deep", "large", "bytes", "list"],
)
def test_a_document_that_parsers_may_read_differently_is_refused(world: Any, body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_document(body)


def test_a_document_that_all_parsers_read_alike_is_read(world: Any) -> None:
    assert read_document(b'{"x": 1}', "application/vnd.client+json; charset=utf-8")[0] == {"x": 1}


@cases("content_type", ["", "text/html", "text/json", "application/jsonp"])
def test_a_document_that_is_not_json_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        read_document(b"{}", content_type)


@cases(
    ("cache_control", "seconds"),
    [("", 86_400), ("max-age=600", 600), ("public, max-age = 5", 300), ("max-age=9999999", 86_400), ("no-store", 300)],
)
def test_a_document_is_kept_as_long_as_its_server_says(cache_control: str, seconds: int) -> None:
    assert read_document(b"{}", cache_control=cache_control)[1] == seconds


@cases(
    "url",
    [
        *("http://client.example/c", "https://client.example", "https:///c", "https://client.example:99999/c"),
        *("https://user@client.example/c", "https://client.example/c#", "https://client.example/a/../c"),
    ],
)
def test_a_url_that_cannot_be_a_clients_is_not_fetched(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from oauth import documents

    monkeypatch.setattr(documents, "fetch_file", lambda *args, **fields: pytest.fail("it was fetched"))
    with pytest.raises(ValueError):  # noqa: PT011 - urllib's own message for some
        documents.fetch_url(url)


def test_a_url_is_fetched_with_its_port_and_query(monkeypatch: pytest.MonkeyPatch) -> None:
    from oauth import documents

    asked: list[Any] = []
    monkeypatch.setattr(documents, "fetch_file", lambda *args, **fields: asked.append((*args, fields["port"])))
    for url in ("https://client.example/c", "https://client.example:8443/c?v=1"):
        documents.fetch_url(url)
    assert asked == [("client.example", "/c", None), ("client.example", "/c?v=1", 8443)]
