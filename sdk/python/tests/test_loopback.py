"""`authorize_on_loopback` accepts only the response to its own request."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from fake_gate import BASE_URL, NO_PAUSES, FakeGate, problem

from agentgate_oauth import AgentGateClient, AsyncAgentGateClient
from agentgate_oauth.errors import (
    AgentGateError,
    AuthorizationError,
    AuthorizationTimeoutError,
    ConsentDeniedError,
    InvalidRedirectUriError,
)

ISSUER = f"{BASE_URL}/oauth"
CONSENT_URL = f"{BASE_URL}/consent/cns_1"
Visit = Callable[["Browser"], None]


class Browser:
    """Replaces the browser that `webbrowser.open` starts. `visit` determines which URLs it requests."""

    def __init__(self, gate: FakeGate) -> None:
        self.visit: Visit = lambda browser: None
        self.opened: list[str] = []
        self.answers: list[httpx.Response] = []
        self.asked: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []
        gate.intercept = self.initiate

    def initiate(self, request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/consent/initiate"):
            return None
        self.asked = json.loads(request.content)
        body = {"consentId": "cns_1", "consentUrl": CONSENT_URL, "status": "pending"}
        return httpx.Response(201, json={**body, "expiresAt": "2030-01-01T00:00:00Z"})

    def open(self, url: str) -> bool:
        self.opened.append(url)
        self._threads.append(threading.Thread(target=self.visit, args=(self,)))
        self._threads[-1].start()
        return True

    def come_back(self, path: str | None = None, **parameters: str) -> None:
        """Follow the redirect, with the request's state and issuer unless `parameters` contain others."""
        query = urlencode({"state": self.asked["state"], "iss": ISSUER, **parameters})
        target = urlsplit(self.asked["redirectUri"])._replace(query=query)
        target = target._replace(path=path or target.path)
        self.answers.append(httpx.get(target.geturl()))

    def close(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def browser(gate: FakeGate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    browser = Browser(gate)
    monkeypatch.setattr("webbrowser.open", browser.open)
    with contextlib.closing(browser):
        yield browser


def test_the_code_becomes_a_session(client: AgentGateClient, browser: Browser, gate: FakeGate):
    browser.visit = lambda browser: browser.come_back(code="the-code")
    session = client.authorize_on_loopback(scopes=["email:send"], reason="To answer your mail", key="me")
    assert session.verify(["email:send"]).allowed
    assert session.key == "me"
    assert browser.opened == [CONSENT_URL]
    (answer,) = browser.answers
    assert answer.status_code == 200 and "You can close this window" in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "the-code" not in answer.text
    assert (browser.asked["requestedScopes"], browser.asked["reason"]) == (
        ["email:send"],
        "To answer your mail",
    )


def test_the_exchange_sends_the_verifier_and_the_redirect_uri(client, browser, gate):
    browser.visit = lambda browser: browser.come_back(code="the-code")
    client.authorize_on_loopback(scopes=["email:send"])
    exchanged = json.loads(next(r for r in gate.requests if r.url.path.endswith("/exchange")).content)
    assert browser.asked["codeChallengeMethod"] == "S256"
    assert browser.asked["codeChallenge"] == s256(exchanged["codeVerifier"])
    assert exchanged["redirectUri"] == browser.asked["redirectUri"]
    assert urlsplit(exchanged["redirectUri"]).hostname == "127.0.0.1"


def s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


async def test_the_async_client_does_not_block_the_event_loop(
    async_client: AsyncAgentGateClient, browser: Browser
):
    ticks = 0

    async def count() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    def visit(browser: Browser) -> None:
        threading.Event().wait(0.3)
        browser.come_back(code="the-code")

    browser.visit = visit
    counting = asyncio.create_task(count())
    session = await async_client.authorize_on_loopback(scopes=["email:send"])
    counting.cancel()
    assert (await session.verify(["email:send"])).allowed
    assert ticks > 5


async def test_cancelling_closes_the_port(async_client: AsyncAgentGateClient, browser: Browser):
    opened, loop = asyncio.Event(), asyncio.get_running_loop()
    browser.visit = lambda browser: loop.call_soon_threadsafe(opened.set)
    waiting = asyncio.create_task(async_client.authorize_on_loopback(scopes=["email:send"]))
    await opened.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(httpx.ConnectError):
        browser.come_back(code="the-code")


def test_requests_that_are_not_the_callback_are_ignored(client, browser):
    def visit(browser: Browser) -> None:
        browser.come_back(path="/favicon.ico", code="stolen")
        browser.come_back(code="stolen", state="another")
        browser.come_back(code="stolen", state="ünknown")
        browser.come_back(error="access_denied", state="")
        browser.come_back(code="the-code")

    browser.visit = visit
    session = client.authorize_on_loopback(scopes=["email:send"])
    browser.close()
    assert [answer.status_code for answer in browser.answers] == [404, 404, 404, 404, 200]
    assert session.verify(["email:send"]).allowed


def test_an_idle_connection_does_not_delay_the_response(client, browser):
    def visit(browser: Browser) -> None:
        port = urlsplit(browser.asked["redirectUri"]).port
        with socket.create_connection(("127.0.0.1", port)):
            browser.come_back(code="the-code")

    browser.visit = visit
    assert client.authorize_on_loopback(scopes=["email:send"], timeout=5).verify(["email:send"]).allowed


def test_a_denial_raises_consent_denied_error(client, browser, gate):
    browser.visit = lambda browser: browser.come_back(error="access_denied")
    with pytest.raises(ConsentDeniedError, match="the user denied access"):
        client.authorize_on_loopback(scopes=["email:send"])
    assert gate.calls["/tokens/exchange"] == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"code": "the-code", "iss": "https://other.example/oauth"}, "https://other.example/oauth"),
        ({"code": "the-code", "iss": ""}, "is not from 'https://gate.example/oauth'"),
        ({"error": "server_error"}, "server_error"),
        ({}, "error: None"),
    ],
)
def test_a_response_without_a_code_of_this_issuer_is_refused(client, browser, gate, parameters, message):
    browser.visit = lambda browser: browser.come_back(**parameters)
    with pytest.raises(AuthorizationError, match=message) as caught:
        client.authorize_on_loopback(scopes=["email:send"])
    assert "the-code" not in str(caught.value)
    assert gate.calls["/tokens/exchange"] == 0


@pytest.mark.parametrize("iss", [ISSUER, "https://other.example/oauth"])
def test_a_failure_prints_neither_code_nor_verifier(client, browser, gate, iss):
    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("/exchange"):
            return problem(400, "invalid_grant")
        return browser.initiate(request)

    gate.intercept = answer
    browser.visit = lambda browser: browser.come_back(code="the-code", iss=iss)
    with pytest.raises(AgentGateError) as caught:
        client.authorize_on_loopback(scopes=["email:send"])
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    del report.stack[:1]  # this test's own frame
    shown = "".join(report.format())
    secrets = [str(json.loads(r.content).get("codeVerifier")) for r in gate.requests]
    assert not [secret for secret in ("the-code", "ags_", *secrets) if secret in shown and secret != "None"]


def test_the_wait_ends_after_the_timeout(client, browser):
    with pytest.raises(AuthorizationTimeoutError, match="no decision within 0.2 seconds"):
        client.authorize_on_loopback(scopes=["email:send"], timeout=0.2)


def test_the_url_is_printed_and_with_open_browser_false_not_opened(client, browser, capsys):
    with pytest.raises(AuthorizationTimeoutError):
        client.authorize_on_loopback(scopes=["email:send"], timeout=0.2)
    assert CONSENT_URL in capsys.readouterr().err
    assert browser.opened == [CONSENT_URL]
    with pytest.raises(AuthorizationTimeoutError):
        client.authorize_on_loopback(scopes=["email:send"], timeout=0.2, open_browser=False)
    printed = capsys.readouterr()
    assert CONSENT_URL in printed.err and printed.out == ""
    assert browser.opened == [CONSENT_URL]


def test_an_unregistered_redirect_uri_is_named_in_the_error(client, gate):
    gate.intercept = lambda request: problem(400, "invalid_redirect_uri", detail="Not registered.")
    with pytest.raises(InvalidRedirectUriError, match=r"Register http://127\.0\.0\.1/back as a redirect URI"):
        client.authorize_on_loopback(scopes=["email:send"], redirect_path="/back")


def test_a_base_url_other_than_the_server_s_is_reported_before_the_user_decides(gate, browser):
    client = AgentGateClient(
        "http://127.0.0.1:8000", "agc_1", "ags_1", http_client=gate.client(), retry=NO_PAUSES
    )
    with pytest.raises(AuthorizationError, match=f"pass base_url='{BASE_URL}'"):
        client.authorize_on_loopback(scopes=["email:send"])
    assert browser.opened == []


@pytest.mark.parametrize("path", ["callback", "", "/callback?x=1", "/callback#x"])
def test_redirect_path_must_be_a_path(client, path):
    with pytest.raises(ValueError, match="redirect_path must be a path"):
        client.authorize_on_loopback(scopes=["email:send"], redirect_path=path)
