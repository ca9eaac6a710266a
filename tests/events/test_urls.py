"""Which URLs webhooks may have. The resolver is our own."""

import time

import pytest

from core import fetching
from core.errors import Invalid
from core.fetching import TooManyFetches
from events import urls
from events.urls import checked_url
from tests.core.servers import resolve_to
from tests.shared import cases

PUBLIC = "93.184.215.14"


@pytest.fixture(autouse=True)
def _public(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, PUBLIC)


def refusal(url: str) -> str:
    with pytest.raises(Invalid) as refused:
        checked_url(url)
    assert [error.field for error in refused.value.errors] == ["url"]
    return refused.value.detail


@cases(
    ("url", "expected"),
    [
        ("https://acme.com/hooks?key=1", "https://acme.com/hooks?key=1"),
        ("HTTPS://Acme.com:443/", "https://acme.com"),
        ("https://acme.com:1024/a", "https://acme.com:1024/a"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
    ],
)
def test_returns_the_canonical_form(url: str, expected: str) -> None:
    assert checked_url(url) == expected


@cases(
    ("url", "message"),
    [
        ("http://acme.com/", "an https URL"),
        ("ftp://acme.com/", "https"),
        ("https:///a", "host"),
        ("https://ada:secret@acme.com/", "user name"),
        ("https://acme.com/#a", "fragment"),
        ("https://acme.com:25/", "port 443"),
        ("https://acme.com:1023/", "port 443"),
        ("https://acme.com:65536/", "65535"),
        ("https://acme.com/" + "a" * 2000, "2000 characters"),
        ("https://acme.com/" + "é" * 500, "2048 characters"),
    ],
)
def test_refuses_other_urls(url: str, message: str) -> None:
    assert message in refusal(url)


@cases("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1%eth0"]])
def test_all_addresses_must_be_public(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    resolve_to(monkeypatch, *addresses)
    assert "All its addresses must be on the internet" in refusal("https://acme.com/")


@cases("host", ["127.0.0.1", "[::1]", "10.1.2.3", "[::ffff:10.0.0.1]"])
def test_an_address_must_be_public(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    resolve_to(monkeypatch, host.strip("[]"))
    assert "a private network" in refusal(f"https://{host}/")


def test_a_host_must_have_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    assert "no address" in refusal("https://acme.com/")


def test_a_lookup_that_hangs_ends_in_time_and_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "LOOKUP_SECONDS", 0.01)
    monkeypatch.setattr(fetching, "look_up", lambda host: time.sleep(0.3) or [PUBLIC])
    for _ in range(urls.MAX_LOOKUPS):
        assert "no address" in refusal("https://acme.com/")
    with pytest.raises(TooManyFetches):
        checked_url("https://acme.com/")
    for _ in range(urls.MAX_LOOKUPS):
        assert urls._slots.acquire(timeout=5)
    urls._slots.release(urls.MAX_LOOKUPS)


@cases(
    ("url", "address", "is_accepted"),
    [
        ("http://localhost:8080/a", "127.0.0.1", True),
        ("https://localhost:8443/a", "::1", True),
        ("https://acme.com/a", PUBLIC, True),
        ("http://acme.com/a", PUBLIC, False),
        ("https://acme.com/a", "10.0.0.1", False),
    ],
)
def test_the_setting_allows_this_host(
    monkeypatch: pytest.MonkeyPatch, settings: object, url: str, address: str, is_accepted: bool
) -> None:
    monkeypatch.setattr(settings, "WEBHOOK_ALLOW_LOOPBACK", True)
    resolve_to(monkeypatch, address)
    if is_accepted:
        assert checked_url(url) == url
    else:
        assert "https" in refusal(url) or "on the internet" in refusal(url)
