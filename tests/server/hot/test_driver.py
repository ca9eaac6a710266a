"""The event loop meets each need of an inquiry, and answers by the error if it cannot."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from jwt.utils import base64url_encode

from core.errors import Unavailable
from developers.acting import as_developer
from resources.services import delete_resource_server, rotate_resource_server_secret
from server.front import hot, newer_keys
from tests.samples import sample
from tests.server.hot.both import EVENT_LOOP, TIMEOUT, Answer, Both, Sent, parse
from tests.server.hot.requests import (
    UNKNOWN,
    Scene,
    basic,
    batch,
    forward,
    introspect,
    question,
    verify,
)
from tests.waiting import wait_until
from tests.world import ANONYMOUS
from tokens import keys

PROXY, OTHER = "127.0.0.2", "127.0.0.3"
HTTPS = {"X_Forwarded_Proto": "https"}


def asked_by(scene: Scene, caller: str) -> list[Sent]:
    """Return a request to each endpoint that knows credentials."""
    return [
        verify(scene.token, caller=caller),
        batch(question(scene.token), question(UNKNOWN), caller=caller),
        introspect(scene.token, caller),
        forward(scene.token, caller=caller),
    ]


class TestCredentials:
    def test_a_rotated_secret_fails_at_once(self, scene: Scene, both: Both) -> None:
        old = basic(scene.own)
        assert [both.ask(sent).status for sent in asked_by(scene, old)] == [200] * 4

        actor = as_developer(ANONYMOUS, scene.developer)
        new = basic(scene.own, rotate_resource_server_secret(actor=actor, server=scene.own.server).value)
        assert [both.ask(sent).status for sent in asked_by(scene, old)] == [401, 401, 401, 403]
        assert [both.ask(sent).status for sent in asked_by(scene, new)] == [200] * 4

    def test_a_deleted_server_fails_at_once(self, scene: Scene, both: Both) -> None:
        caller = basic(scene.own)
        delete_resource_server(actor=as_developer(ANONYMOUS, scene.developer), server=scene.own.server)
        assert [both.ask(sent).status for sent in asked_by(scene, caller)] == [401, 401, 401, 403]

    def test_too_many_wrong_ones_are_throttled_and_the_right_one_is_not(
        self, scene: Scene, both: Both, settings: Any
    ) -> None:
        settings.THROTTLE_CLIENT_AUTH = "2/hour"
        sent = verify(scene.token, caller=basic(scene.own, "rs_wrong"))
        assert both.ask(sent).status == 401
        assert both.ask(sent).status == 429
        assert both.ask(verify(scene.token, caller=basic(scene.own))).status == 200


class TestThrottle:
    @pytest.mark.parametrize("redis_url", ["", None])
    def test_anonymous_callers_are_throttled_by_one_count(
        self, scene: Scene, both: Both, settings: Any, redis_url: str | None
    ) -> None:
        """With `None`, Redis counts if the tests have one."""
        if redis_url is not None:
            settings.REDIS_URL = redis_url
        settings.THROTTLE_VERIFY = "6/hour"
        assert both.ask(verify(UNKNOWN)).status == 200
        assert both.ask(forward(UNKNOWN)).status == 401
        refused = [verify(UNKNOWN), forward(UNKNOWN), batch(question(UNKNOWN))]
        assert both.ask(batch(question(UNKNOWN), question(UNKNOWN), question(UNKNOWN))).status == 429
        assert both.ask(refused[0]).status == 200
        answers = [both.ask(sent) for sent in refused]
        assert [answer.status for answer in answers] == [429] * 3
        assert {answer.header("Retry-After") for answer in answers} != {""}
        assert both.ask(verify(scene.token, caller=basic(scene.own))).status == 200


@pytest.mark.on_sqlite
class TestFailures:
    """What Django's view answers if the database fails, and what the event loop answers then."""

    @pytest.mark.parametrize("error", [Unavailable("Try again in a moment."), RuntimeError("boom")])
    def test_a_decision_that_fails(
        self, scene: Scene, both: Both, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(questions: object) -> None:
            raise error

        def submit(questions: object) -> asyncio.Future[None]:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            return future

        monkeypatch.setattr("decisions.stores.django_driver.decide", fail)
        monkeypatch.setattr(both.front.hot._batcher, "submit", submit)
        expected = error.status if isinstance(error, Unavailable) else 500
        for sent in asked_by(scene, basic(scene.own)):
            answer = both.ask(sent)
            assert (answer.status, bool(answer.header("Retry-After"))) == (expected, expected == 503)
            assert {"code", "error"} & answer.json.keys()
            assert b"boom" not in answer.body


@pytest.mark.on_sqlite
class TestWaiting:
    """What a thread of the event loop does for a request takes no longer than a decision may."""

    @pytest.fixture
    def release(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
        monkeypatch.setattr(hot, "DECISION_SECONDS", 0.2)
        release = threading.Event()
        yield release
        release.set()

    def test_for_a_key(
        self, scene: Scene, both: Both, release: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys.forget()
        monkeypatch.setattr(newer_keys, "load_newer_keys", lambda: release.wait(TIMEOUT))
        self.check(both, verify(scene.token))

    def test_for_the_count_of_wrong_credentials(self, scene: Scene, both: Both, release: threading.Event) -> None:
        both.front.hot._failures._count = lambda hits: [None] if release.wait(TIMEOUT) else []
        self.check(both, verify(scene.token, caller=basic(scene.own, "rs_wrong")))

    def check(self, both: Both, sent: Sent) -> None:
        answer, who = both.front.ask(sent)
        assert (answer.status, answer.header("Retry-After"), who) == (503, "1", EVENT_LOOP)


def test_keys_are_read_at_the_start(scene: Scene, start: Callable[[], Both]) -> None:
    keys.forget()
    assert start().front.ask(verify(scene.token))[1] == EVENT_LOOP


def test_newer_keys_are_read_without_django(scene: Scene, both: Both) -> None:
    keys.forget()
    assert both.front.ask(verify(scene.token))[1] == EVENT_LOOP


@pytest.mark.on_sqlite
def test_100_forged_key_ids_read_the_keys_once(scene: Scene, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    readings, load_keys = [], keys.load_keys
    monkeypatch.setattr(keys, "UNKNOWN_SECONDS", 60)
    monkeypatch.setattr(keys, "load_keys", lambda: [readings.append(1), load_keys()])
    for forged in forgeries(scene, 50):
        assert both.front.ask(verify(forged))[0].json["reason"] == "invalid_token"
    answer = both.ask(batch(*map(question, forgeries(scene, 50)), caller=basic(scene.own)))
    assert {decision["reason"] for decision in answer.json["decisions"]} == {"invalid_token"}
    assert readings == [1]
    assert both.ask(verify(scene.token)).json["allowed"] is True


@pytest.mark.on_sqlite
def test_tokens_of_unknown_keys_that_arrive_at_once_wait_for_one_reading(
    scene: Scene, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each would take time of the thread that also counts wrong credentials."""
    readings: list[int] = []
    release = threading.Event()
    monkeypatch.setattr(newer_keys, "load_newer_keys", lambda: [readings.append(1), release.wait(TIMEOUT)])
    with ExitStack() as stack:
        clients = [stack.enter_context(both.front.connect(verify(forged))) for forged in forgeries(scene, 8)]
        wait_until(lambda: len(both.front.hot._tasks) == 8)
        release.set()
        assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 8
    assert readings == [1]


@pytest.mark.on_sqlite
class TestKeysThatCannotBeRead:
    """A flood of forged key IDs must not fill the log while the database is away."""

    @pytest.fixture(autouse=True)
    def log(
        self, both: Both, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> pytest.LogCaptureFixture:
        """Both ways to ask have started, and this process knows no key."""
        keys.forget()
        # They report unfinished tasks of other tests' loops, and up to ten answers per second.
        for name in ("asyncio", "server.front.failures"):
            monkeypatch.setattr(logging.getLogger(name), "disabled", True)
        caplog.clear()
        return caplog

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (OperationalError("away\nfar"), "connection"),
            (InterfaceError("away\nfar"), "connection"),
            (DatabaseError("away\nfar"), "statement"),
        ],
    )
    def test_an_outage_is_answered_503_and_logged_once(
        self,
        scene: Scene,
        both: Both,
        monkeypatch: pytest.MonkeyPatch,
        log: pytest.LogCaptureFixture,
        error: Exception,
        kind: str,
    ) -> None:
        failing = Failing(error)
        counted = sample("agentgate_store_errors_total", kind=kind)
        monkeypatch.setattr(newer_keys, "load_newer_keys", failing)
        forged = forgeries(scene, 50)
        for answer in ask_at_once(both, forged, failing):
            assert (answer.status, answer.header("Retry-After")) == (503, "1")
        assert failing.calls == 1
        assert both.front.ask(verify(forged[0]))[0].status == 503
        assert sample("agentgate_store_errors_total", kind=kind) == counted + 2
        assert [(record.getMessage(), record.exc_info) for record in log.records] == [
            ("The signing keys cannot be read: away", None)
        ]

    def test_another_outage_after_a_recovery_is_logged_again(
        self, scene: Scene, both: Both, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
    ) -> None:
        outage = Failing(OperationalError("away"))
        outage.release.set()
        (forged,) = forgeries(scene, 1)
        statuses = []
        for load in (outage, outage, keys.load_newer_keys, outage):
            keys.forget()
            monkeypatch.setattr(newer_keys, "load_newer_keys", load)
            statuses.append(both.front.ask(verify(forged))[0].status)
        assert statuses == [503, 503, 200, 503]
        assert log.messages == [
            "The signing keys cannot be read: away",
            "The signing keys can be read again.",
            "The signing keys cannot be read: away",
        ]

    def test_an_unexpected_error_is_logged_once_per_reading(
        self, scene: Scene, both: Both, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
    ) -> None:
        failing = Failing(RuntimeError("boom"))
        monkeypatch.setattr(newer_keys, "load_newer_keys", failing)
        answers = ask_at_once(both, forgeries(scene, 50), failing)
        assert {answer.status for answer in answers} == {500}
        (record,) = log.records
        assert record.exc_info
        assert log.text.count("Traceback") == 1


class Failing:
    """A reading of the keys that fails, as soon as `release` is set."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls, self.release = error, 0, threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        self.release.wait(TIMEOUT)
        raise self.error


def ask_at_once(both: Both, tokens: list[str], failing: Failing) -> list[Answer]:
    """Return the answers to tokens that all wait for the reading that then fails."""
    with ExitStack() as stack:
        clients = [stack.enter_context(both.front.connect(verify(token))) for token in tokens]
        wait_until(lambda: len(both.front.hot._tasks) == len(tokens))
        failing.release.set()
        return [parse(b"".join(iter(partial(client.recv, 65536), b"")), "POST") for client in clients]


def forgeries(scene: Scene, number: int) -> list[str]:
    """Return tokens that name keys that do not exist."""
    _, claims, signature = scene.token.split(".")
    headers = [{"alg": "ES256", "typ": "at+jwt", "kid": f"invented-key-id-{each:04}"} for each in range(number)]
    return [f"{base64url_encode(orjson.dumps(header)).decode()}.{claims}.{signature}" for header in headers]


@pytest.mark.on_sqlite
def test_the_front_starts_without_the_database(
    scene: Scene, start: Callable[[], Both], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OperationalError("away\nfar")

    keys.forget()
    monkeypatch.setattr("server.front.hot.load_keys", fail)
    answer, who = start().front.ask(verify(scene.token))
    assert (answer.status, who) == (200, EVENT_LOOP)
    assert "The signing keys are read later: away" in caplog.messages
