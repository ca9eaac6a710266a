"""Whatever the other side answers: a decision is denied, or there is none. No other exception is raised."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from fake_gate import BASE_URL, problem
from test_guard import QUESTION, Gate, denied

from agentgate_oauth import (
    AgentGateVerifier,
    AsyncAgentGateVerifier,
    ConnectionFailedError,
    RetryPolicy,
    UnavailableError,
    UnexpectedResponseError,
)
from agentgate_oauth._json import MAX_DEPTH, read_json
from agentgate_oauth._retry import MAX_RETRY_AFTER, OUTCOME_UNKNOWN
from agentgate_oauth.service import Guard, Refusal

DEEP = "[" * 100_000 + "]" * 100_000
CONTRADICTIONS = [
    {"allowed": True, "reason": "consent_revoked"},
    {"allowed": True, "missingScopes": ["email:send"]},
    {"allowed": True, "policy": {"id": "pol_1", "name": "Office hours", "ruleType": "time_window"}},
]
ANSWERS = [
    '{"allowed": false, "reason": "token_revoked", "allowed": true}',
    '{"allowed": true, "grantedScopes": [], "userId": "usr_1", "userId": "usr_2"}',
    *map(json.dumps, CONTRADICTIONS),
    '{"allowed": true, "trace": ' + DEEP + "}",
    '{"allowed": true, "userId": "\\ud800"}',
    '{"allowed": true, "retryAfterSeconds": NaN}',
    '{"allowed": 1}',
    '{"allowed": "true"}',
    "true",
    "",
]
RETRY_AFTERS = ["9" * 400, "9" * 5000, "-1", "1e9", "inf", "Fri, 31 Dec 9999 23:59:59 GMT", "٣", "x", ""]


def gate(answer: httpx.Response) -> tuple[AgentGateVerifier, Guard]:
    transport = httpx.MockTransport(lambda request: answer)
    http = httpx.Client(transport=transport)
    return AgentGateVerifier(BASE_URL, http_client=http, retry=RetryPolicy(attempts=1)), Gate(answer).guard()


@pytest.mark.parametrize("text", ANSWERS, ids=lambda text: text[:60])
def test_a_decision_that_can_be_read_in_two_ways_is_none(text: str):
    verifier, guard = gate(httpx.Response(200, text=text))
    with pytest.raises(UnavailableError):
        verifier.verify("token", ["email:send"])
    refusal = guard.check(["Bearer token"], QUESTION)
    assert isinstance(refusal, Refusal) and refusal.status == 503


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize(
    "text", [DEEP, '{"code": {"a": [1]}, "code": 2}', '{"code": ["x"], "requestId": {}}', "[]"]
)
def test_an_error_that_cannot_be_read_is_refused(status: int, text: str):
    _, guard = gate(httpx.Response(status, text=text))
    refusal = guard.check(["Bearer token"], QUESTION)
    assert isinstance(refusal, Refusal) and refusal.status == 503


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", RETRY_AFTERS)
def test_any_retry_after_is_passed_on_within_bounds(status: int, asked: str):
    headers = [(b"Retry-After", asked.encode())]
    _, guard = gate(httpx.Response(status, headers=headers, json={"code": "busy"}))
    refusal = guard.check(["Bearer token"], QUESTION)
    assert isinstance(refusal, Refusal) and refusal.status == 503
    assert 1 <= int(refusal.headers["Retry-After"]) <= MAX_RETRY_AFTER


@pytest.mark.parametrize("seconds", [-5, 0, 10**400])
def test_the_pause_of_a_denial_is_passed_on_within_bounds(seconds: int):
    _, guard = gate(httpx.Response(200, json=denied("policy_denied", retryAfterSeconds=seconds)))
    refusal = guard.check(["Bearer token"], QUESTION)
    assert isinstance(refusal, Refusal) and refusal.status == 403
    assert 1 <= int(refusal.headers["Retry-After"]) <= MAX_RETRY_AFTER


@pytest.mark.parametrize("exp", [10**30, -(10**30)])
def test_an_introspection_without_a_possible_time_is_not_a_decision(exp: int):
    answer = httpx.Response(200, json={"active": True, "scope": "email:send email:read", "exp": exp})
    refusal = Gate(answer).guard(mode="introspect").check(["Bearer token"], QUESTION)
    assert isinstance(refusal, Refusal) and refusal.status == 503


@pytest.mark.parametrize("number", [0, 1, 3])
def test_another_number_of_decisions_than_questions_is_refused(number: int):
    verifier, _ = gate(httpx.Response(200, json={"decisions": [{"allowed": True}] * number}))
    with pytest.raises(UnexpectedResponseError):
        verifier.verify_batch([{"token": "a"}, {"token": "b"}])


def test_a_late_503_is_not_repeated_because_it_may_have_counted():
    late = Gate(problem(503, OUTCOME_UNKNOWN))
    verifier = AgentGateVerifier(BASE_URL, http_client=httpx.Client(transport=httpx.MockTransport(late)))
    with pytest.raises(UnavailableError) as raised:
        verifier.verify("token", ["email:send"])
    assert raised.value.code == OUTCOME_UNKNOWN
    assert len(late.requests) == 1


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "head": (HEAD, b"X: y\r\n"),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
BOMB = gzip.compress(b" " * 100_000_000 + b'{"allowed": true}')
FLOODS = {
    "plain": (HEAD + b"\r\n", b" " * 65_536, "more than"),
    "compressed": (HEAD + b"Content-Encoding: gzip\r\n\r\n", BOMB, "compressed"),
}


@contextmanager
def pouring(first: bytes, again: bytes, pause: float) -> Iterator[str]:
    """Yield the URL of a server whose answer goes on until its client has left, or for 10 seconds."""

    def pour(connection: socket.socket) -> None:
        until = time.monotonic() + 10
        with suppress(OSError), connection:
            connection.recv(65_536)
            connection.sendall(first)
            while time.monotonic() < until:
                connection.sendall(again)
                time.sleep(pause)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=pour, args=server.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def ask(url: str, is_async: bool) -> ConnectionFailedError:
    """Return the error of a verify request. A step of it may take 0.2 seconds."""

    async def asynchronous() -> None:
        async with AsyncAgentGateVerifier(url, timeout=0.2) as verifier:
            await verifier.verify("token", ["email:send"])

    with pytest.raises(ConnectionFailedError) as raised:
        if is_async:
            asyncio.run(asynchronous())
        else:
            with AgentGateVerifier(url, timeout=0.2) as verifier:
                verifier.verify("token", ["email:send"])
    return raised.value


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "asynchronous"])
@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_is_given_up_as_a_whole(drip: str, is_async: bool):
    with pouring(*DRIPS[drip], pause=0.05) as url:
        began = time.monotonic()
        assert ask(url, is_async).cause == "timeout"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "asynchronous"])
@pytest.mark.parametrize("flood", FLOODS)
def test_an_answer_of_any_size_is_not_kept(flood: str, is_async: bool):
    first, again, words = FLOODS[flood]
    with pouring(first, again, pause=0) as url:
        error = ask(url, is_async)
    assert error.cause == "response_refused" and words in str(error)


def test_depth_is_bounded_by_a_number_and_not_by_the_stack():
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"]" * levels

    def at_the_end_of_the_stack(room: int) -> object:
        return read_json(nested(MAX_DEPTH)) if room <= 0 else at_the_end_of_the_stack(room - 1)

    assert at_the_end_of_the_stack(sys.getrecursionlimit() // 2)
    with pytest.raises(ValueError, match="deeply"):
        read_json(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ['"' * 200_001, '"\\' * 100_000, "[" * 70 + '"' + '\\"' * 100_000])
def test_hostile_text_is_refused_in_linear_time(text: str):
    with pytest.raises(ValueError):
        read_json(text.encode())
