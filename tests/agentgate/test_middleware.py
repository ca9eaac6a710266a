"""Request ids, and the caller's address behind a proxy."""

import logging
from ipaddress import ip_network
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from agentgate.middleware import RequestIdFilter, RequestIdMiddleware, TrustedProxyMiddleware
from tests.shared import cases

PROXY, CALLER = "10.0.0.5", "203.0.113.7"


def pass_through(peer: str, **headers: str) -> HttpRequest:
    """Return the request as views see it."""
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    TrustedProxyMiddleware(view)(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))
    return seen[0]


@pytest.fixture
def _behind_a_proxy(settings: Any) -> None:
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)


def test_forwarded_headers_are_ignored_by_default() -> None:
    request = pass_through(PROXY, X_Forwarded_For=CALLER, X_Forwarded_Proto="https")

    assert (request.META["REMOTE_ADDR"], request.scheme) == (PROXY, "http")


@pytest.mark.usefixtures("_behind_a_proxy")
class TestBehindAProxy:
    def test_forwarded_headers_of_a_trusted_proxy_are_used(self) -> None:
        request = pass_through(PROXY, X_Forwarded_For=CALLER, X_Forwarded_Proto="https")

        assert (request.META["REMOTE_ADDR"], request.scheme) == (CALLER, "https")

    def test_addresses_that_the_caller_sent_are_ignored(self) -> None:
        request = pass_through(PROXY, X_Forwarded_For=f"192.0.2.1, {CALLER}")

        assert request.META["REMOTE_ADDR"] == CALLER

    def test_several_trusted_proxies_are_skipped(self) -> None:
        request = pass_through(PROXY, X_Forwarded_For=f"192.0.2.1, {CALLER}, 10.0.0.9")

        assert request.META["REMOTE_ADDR"] == CALLER

    def test_forwarded_headers_of_other_peers_are_ignored(self) -> None:
        request = pass_through(CALLER, X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="https")

        assert (request.META["REMOTE_ADDR"], request.scheme) == (CALLER, "http")

    def test_an_invalid_forwarded_address_is_ignored(self) -> None:
        assert pass_through(PROXY, X_Forwarded_For="localhost").META["REMOTE_ADDR"] == PROXY

    @cases("peer", [PROXY, CALLER])
    def test_the_host_is_never_taken_from_a_forwarded_header(self, peer: str) -> None:
        request = pass_through(peer, X_Forwarded_Host="evil.example", Forwarded="host=evil.example")

        assert request.get_host() == "testserver"
        assert "HTTP_X_FORWARDED_HOST" not in request.META


@cases("path", ["/api/v1/forward-auth/inbox", "/oauth/introspect", "/api/v1/tokens/verify/batch"])
def test_decisions_do_not_replace_the_cookies_of_the_protected_site(path: str, db: None) -> None:
    client = Client()
    client.cookies.load({"csrftoken": "another format", "sessionid": "short"})
    assert not client.get(path).cookies
    assert client.get("/").cookies


@cases("offered", ["abcdefgh", "trace-1.2_3", "a" * 64])
def test_a_well_formed_request_id_is_kept(offered: str, db: None) -> None:
    assert Client().get("/", headers={"X-Request-Id": offered})["X-Request-Id"] == offered


@cases("offered", ["", "short", "a" * 65, "with space 1", "<script>alert</script>", "naïve-id-1"])
def test_any_other_request_id_is_replaced(offered: str, db: None) -> None:
    answered = Client().get("/", headers={"X-Request-Id": offered})["X-Request-Id"]

    assert answered.startswith("req_")


def test_error_responses_have_a_request_id(db: None) -> None:
    assert Client().get("/nowhere")["X-Request-Id"].startswith("req_")
    assert Client().post("/api/v1/scopes")["X-Request-Id"].startswith("req_")


def test_log_records_have_the_id_of_their_request() -> None:
    seen: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        record = logging.LogRecord("x", logging.INFO, "", 0, "", None, None)
        RequestIdFilter().filter(record)
        seen.append(record.__dict__["request_id"])
        return HttpResponse()

    RequestIdMiddleware(view)(RequestFactory().get("/", headers={"X-Request-Id": "trace-12345"}))
    outside = logging.LogRecord("x", logging.INFO, "", 0, "", None, None)
    RequestIdFilter().filter(outside)

    assert seen == ["trace-12345"]
    assert outside.__dict__["request_id"] == "-"


def test_records_that_django_logs_after_an_error_have_the_request_id(
    caplog: pytest.LogCaptureFixture, db: None
) -> None:
    Client().get("/nowhere", headers={"X-Request-Id": "trace-67890"})

    (record,) = [record for record in caplog.records if record.name == "django.request"]
    RequestIdFilter().filter(record)
    assert record.__dict__["request_id"] == "trace-67890"
