"""The gateway signs in by itself against a running server; `webbrowser.open` decides and follows the redirect."""

import asyncio
import dataclasses
import secrets
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from agentgate_oauth import AgentGateAdmin, AgentGateVerifier, AsyncAgentGateVerifier
from agentgate_oauth.gateway.callers import Denied, Introspections
from agentgate_oauth.gateway.config import Gateway, parse
from agentgate_oauth.gateway.login import OwnSession, SignInNeededError
from agentgate_oauth.gateway.own_callers import OwnCallers
from agentgate_oauth.models import NewResourceServer
from agentgate_oauth.stores import FileStore, SessionRecord

from tests.live.gate import Gate, Person, expect

CONFIG = """
version: 1
gate: {gate}
name: Mail
identifier: {identifier}
upstreams:
  mail:
    command: [mail]
    tools:
      read: {{scope: "email:read", risk: standard}}
      send: {{scope: "email:send", risk: high, asks: true}}
limits: {{approval_seconds: {patience}}}
"""


class Browser:
    """The user's browser. `scopes` are what the user allows (None: all), and `verb` may be "deny"."""

    def __init__(self, gate: Gate, person: Person) -> None:
        self.gate, self.person = gate, person
        self.opened: list[str] = []
        self.scopes: list[str] | None = None
        self.verb: str | None = "approve"
        self._threads: list[threading.Thread] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        if self.verb is not None:
            self._threads.append(threading.Thread(target=self.decide, args=(url, self.verb)))
            self._threads[-1].start()
        return True

    def decide(self, url: str, verb: str = "approve") -> httpx.Response:
        shown = httpx.get(url)
        consent_id = shown.headers["Location"].rpartition("/")[2]
        body = {"scopes": self.scopes} if self.scopes and verb == "approve" else {}
        answer = self.gate.post(f"/consent/{consent_id}/{verb}", body, **self.person.headers)
        return httpx.get(expect(200, answer)["redirectUrl"])

    def join(self) -> None:
        for thread in self._threads:
            thread.join()


@pytest.fixture
def browser(gate: Gate, person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    browser = Browser(gate, person)
    monkeypatch.setattr("webbrowser.open", browser.open)
    yield browser
    browser.join()


@pytest.fixture(scope="module")
def service(admin: AgentGateAdmin) -> NewResourceServer:
    identifier = f"http://127.0.0.1:9000/{secrets.token_hex(4)}"
    return admin.create_resource_server(name="Mail", identifier=identifier, scopes=["email:read", "email:send"])


@pytest.fixture
def verify(gate: Gate, service: NewResourceServer) -> Iterator[Callable[..., Any]]:
    with AgentGateVerifier(gate.url, service.id, service.secret) as verifier:
        yield lambda token, *scopes: verifier.verify(token, list(scopes or ("email:read",)))


@pytest.fixture
def config(gate: Gate, service: NewResourceServer) -> Gateway:
    return parse(CONFIG.format(gate=gate.url, identifier=service.identifier, patience=20), "gateway.yaml")


@pytest.fixture
async def program(config: Gateway, tmp_path: Path) -> AsyncIterator[Callable[..., OwnSession]]:
    """Yield a function that starts one more program of the same user."""
    async with AsyncExitStack() as stack:

        def start(config: Gateway = config) -> OwnSession:
            session = OwnSession(config, FileStore(tmp_path / "gateway"), tmp_path / "gateway", name="Mail on here")
            stack.push_async_callback(session.aclose)
            return session

        yield start


Program = Callable[..., OwnSession]


async def test_the_user_is_asked_once_for_all_programs(
    program: Program, browser: Browser, verify: Any, tmp_path: Path, person: Person, gate: Gate
) -> None:
    first, second = program(), program()
    tokens = await asyncio.gather(first.token(), first.token(), second.token())
    assert await program().token() == tokens[0]
    assert len(set(tokens)) == len(browser.opened) == 1
    decision = verify(tokens[0], "email:read", "email:send")
    assert (decision.allowed, decision.user_id) == (True, person.id)
    kept = [*(tmp_path / "gateway").iterdir()]
    assert len(kept) == 4, "a session, a client id, and a lock for each of the two"
    assert {stat.S_IMODE(one.stat().st_mode) for one in kept} == {0o600}
    (consent,) = gate.get("/users/me/consents", **person.headers).json()["items"]
    assert consent["agent"]["name"] == "Mail on here"


async def test_programs_that_refresh_at_once_share_the_result(
    program: Program, browser: Browser, verify: Any, tmp_path: Path
) -> None:
    first, second = program(), program()
    before = await first.token()
    make_stale(tmp_path, first)
    tokens = await asyncio.gather(first.token(), second.token(), second.token())
    assert len({before, *tokens}) == 2
    assert verify(tokens[0]).allowed
    assert len(browser.opened) == 1


def make_stale(folder: Path, session: OwnSession) -> None:
    store = FileStore(folder / "gateway")
    record = store.load(session._key)
    assert isinstance(record, SessionRecord)
    store.save(session._key, dataclasses.replace(record, renew_after=0.0))


async def test_a_session_that_the_user_ended_is_replaced(
    program: Program, browser: Browser, verify: Any, gate: Gate, person: Person
) -> None:
    session = program()
    token = await session.token()
    (consent,) = gate.get("/users/me/consents", **person.headers).json()["items"]
    gate.post(f"/users/me/consents/{consent['id']}/revoke", **person.headers)
    reason = verify(token).reason
    assert await session.refused(token, reason)
    again = await session.token()
    assert verify(again).allowed
    assert not await session.refused(again, "insufficient_scope")
    assert await session.token() == again
    assert len(browser.opened) == 2
    (agent,) = {consent["agent"]["id"] for consent in gate.get("/users/me/consents", **person.headers).json()["items"]}
    assert agent, "the gateway has registered once"


async def test_more_is_asked_for_in_the_browser_and_replaces_the_session_of_all_programs(
    program: Program, browser: Browser, verify: Any
) -> None:
    browser.scopes = ["email:read"]
    session, other = program(), program()
    before = await session.token()
    assert verify(before, "email:send").reason == "insufficient_scope"
    browser.scopes = None
    await session.widen(["email:send"], before)
    token = await other.token()
    assert verify(token, "email:read", "email:send").allowed
    assert verify(before).reason == "token_revoked"


async def test_a_clock_that_is_behind_leads_to_a_refresh(program: Program, browser: Browser, verify: Any) -> None:
    session = program()
    before = await session.token()
    assert await session.refused(before, "token_expired")
    assert await session.refused(before, "token_expired"), "another call has the refreshed one already"
    after = await session.token()
    assert before != after
    assert verify(after).allowed


async def test_a_client_that_was_deleted_registers_again(program: Program, browser: Browser, tmp_path: Path) -> None:
    session = program()
    await session.token()
    session._registration.write_text('{"client_id": "agc_unknown"}')
    make_stale(tmp_path, session)
    assert await session.token()
    assert len(browser.opened) == 2


async def test_without_a_browser_the_error_has_the_page_which_still_works(
    program: Program, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    session = program()
    with pytest.raises(SignInNeededError, match="Open http") as caught:
        await session.token()
    assert caught.value.url is not None
    assert "state" not in caught.value.url
    answer = await asyncio.to_thread(browser.decide, caught.value.url)
    assert "You can close this window" in answer.text
    assert await session.token()


async def test_calls_do_not_wait_longer_than_for_an_approval(
    program: Program, browser: Browser, gate: Gate, service: NewResourceServer
) -> None:
    text = CONFIG.format(gate=gate.url, identifier=service.identifier, patience=0.5)
    browser.verb = None
    session, other = program(parse(text, "gateway.yaml")), program(parse(text, "gateway.yaml"))
    for _ in range(2):
        with pytest.raises(SignInNeededError, match="and allow access"):
            await session.token()
    with pytest.raises(SignInNeededError, match="Another program of yours"):
        await other.token()
    assert len(browser.opened) == 1


async def test_a_refusal_is_not_followed_by_page_after_page(program: Program, browser: Browser) -> None:
    browser.verb = "deny"
    session = program()
    with pytest.raises(SignInNeededError, match="You did not allow access, so this call is denied"):
        await session.token()
    browser.verb = "approve"
    for ask in (session.token(), session.widen(["email:read"], "")):
        with pytest.raises(SignInNeededError, match="in some minutes"):
            await ask
    assert len(browser.opened) == 1
    session._quiet_until = 0.0
    browser.scopes = ["email:read"]
    token = await session.token()
    # A model can ask for more again and again. Who leaves the same out is not asked again at once, either.
    await session.widen(["email:send"], token)
    with pytest.raises(SignInNeededError, match="in some minutes"):
        await session.widen(["email:send"], await session.token())
    assert len(browser.opened) == 3


async def test_a_scope_that_is_not_registered_is_no_reason_to_open_a_page(
    program: Program, browser: Browser, gate: Gate, service: NewResourceServer
) -> None:
    text = CONFIG.format(gate=gate.url, identifier=service.identifier, patience=20).replace("email:read", "crm:all")
    with pytest.raises(SignInNeededError, match="agentgate gateway check"):
        await program(parse(text, "gateway.yaml")).token()
    assert browser.opened == []


async def test_a_damaged_session_is_named_and_not_taken_for_a_gate_that_is_down(
    program: Program, config: Gateway, tmp_path: Path
) -> None:
    session = program()
    FileStore(tmp_path / "gateway")._path(session._key, "json").write_text("damaged")
    FileStore(tmp_path / "gateway")._path(session._key, "json").chmod(0o600)
    async with AsyncAgentGateVerifier(config.gate, "res_1", "rs_1") as verifier:
        with pytest.raises(Denied) as raised:
            await OwnCallers(session, Introspections(verifier)).caller()
    assert raised.value.reason == "session_unusable"
    assert "cannot be read" in raised.value.body["error_description"]


async def test_signing_out_ends_the_session_of_all_programs(program: Program, browser: Browser, verify: Any) -> None:
    session, other = program(), program()
    token = await session.token()
    assert await session.sign_out()
    assert not await session.sign_out()
    assert verify(token).reason == "token_revoked"
    assert await other.token() != token
    assert len(browser.opened) == 2
