"""Calls are repeated where that is safe, after the pauses that the server asks for, and not forever."""

from __future__ import annotations

import time

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, FakeGate, problem

from agentgate_oauth import (
    AgentGateAdmin,
    AgentGateClient,
    AgentGateVerifier,
    ConnectionFailedError,
    RateLimitedError,
    RetryPolicy,
    UnavailableError,
)
from agentgate_oauth._call import Call, Credential
from agentgate_oauth._effects import Send, Sleep
from agentgate_oauth._retry import perform, retry_after

DECISION = {"allowed": True}


def verifier(*outcomes: httpx.Response | Exception) -> tuple[AgentGateVerifier, list[httpx.Request]]:
    sent: list[httpx.Request] = []
    remaining = list(outcomes)

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        outcome = remaining.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    http = httpx.Client(transport=httpx.MockTransport(answer))
    policy = RetryPolicy(base_seconds=0.0)
    return AgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=http, retry=policy), sent


@pytest.mark.parametrize("status", [429, 503])
def test_any_call_is_repeated_if_the_server_did_not_act(status):
    api, sent = verifier(problem(status, "busy"), httpx.Response(200, json=DECISION))
    assert api.verify("token", ["email:send"]).allowed
    assert len(sent) == 2


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")]
)
def test_any_call_is_repeated_if_it_was_not_sent(error):
    api, sent = verifier(error, httpx.Response(200, json=DECISION))
    assert api.verify("token", ["email:send"]).allowed
    assert len(sent) == 2


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")]
)
def test_a_verify_whose_response_was_lost_is_not_repeated(error):
    api, sent = verifier(error)
    with pytest.raises(ConnectionFailedError) as caught:
        api.verify("token", ["email:send"])
    assert caught.value.maybe_received and len(sent) == 1
    assert BASE_URL in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 500])
def test_other_errors_are_not_repeated(status):
    api, sent = verifier(problem(status, "no"))
    with pytest.raises(Exception, match="no"):
        api.verify("token", ["email:send"])
    assert len(sent) == 1


def test_reads_are_repeated_after_lost_responses_and_errors():
    api, sent = verifier(
        httpx.ReadError("x"), httpx.Response(502), httpx.Response(200, json={"active": True, "scope": "a b"})
    )
    assert api.introspect("token").scopes == ("a", "b")
    assert len(sent) == 3


def test_an_update_is_repeated_after_a_lost_response():
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        if len(sent) == 1:
            raise httpx.ReadError("cut", request=request)
        return problem(403, "forbidden")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    api = AgentGateAdmin(BASE_URL, "ag_1", http_client=http, retry=RetryPolicy(base_seconds=0.0))
    with pytest.raises(Exception, match="forbidden"):
        api.update_agent("agt_1", status="suspended")
    assert sent == ["PATCH", "PATCH"]


def test_a_creation_is_repeated_with_the_same_key():
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("cut", request=request)
        return problem(403, "forbidden")

    http = httpx.Client(transport=httpx.MockTransport(answer))
    api = AgentGateAdmin(BASE_URL, "ag_1", http_client=http, retry=RetryPolicy(base_seconds=0.0))
    with pytest.raises(Exception, match="forbidden"):
        api.create_agent(name="x", redirect_uris=[], allowed_scopes=[])
    assert len(keys) == 2 and keys[0] == keys[1]


def test_the_number_of_attempts_is_limited():
    api, sent = verifier(*[problem(503, "down")] * 9)
    with pytest.raises(UnavailableError):
        api.verify("token", ["email:send"])
    assert len(sent) == 4


def test_a_long_retry_after_is_raised_at_once():
    api, sent = verifier(problem(429, "throttled", {"Retry-After": "3600"}))
    began = time.monotonic()
    with pytest.raises(RateLimitedError) as caught:
        api.verify("token", ["email:send"])
    assert caught.value.retry_after == 3600
    assert len(sent) == 1 and time.monotonic() - began < 1


def test_pauses_are_at_least_retry_after_with_jitter():
    pauses = [_first_pause({"Retry-After": "2"}) for _ in range(40)]
    assert all(2 <= pause <= 2.25 for pause in pauses)
    assert len(set(pauses)) > 30


def test_pauses_without_retry_after_start_at_zero():
    pauses = [_first_pause({}) for _ in range(200)]
    assert min(pauses) < 0.1 and 0.15 < max(pauses) <= 0.25


def _first_pause(headers: dict[str, str]) -> float:
    flow = perform(Call("GET", "/x", lambda document: document), Credential(), RetryPolicy())
    assert isinstance(next(flow), Send)
    effect = flow.send(problem(503, "busy", headers))
    assert isinstance(effect, Sleep)
    return effect.seconds


@pytest.mark.parametrize("text,expected", [("7", 7.0), ("", None), ("soon", None), ("-1", None)])
def test_retry_after_in_seconds(text, expected):
    assert retry_after(httpx.Response(503, headers={"Retry-After": text})) == expected


def test_retry_after_as_a_date():
    past = httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert retry_after(past) == 0.0


def test_an_exchange_whose_response_was_lost_is_repeated_with_the_same_key():
    gate = FakeGate()
    gate.lose_answer_to = "/tokens/exchange"
    client = AgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=RetryPolicy(base_seconds=0.0)
    )
    client.create_session("code")
    keys = {request.headers["Idempotency-Key"] for request in gate.requests}
    assert len(gate.requests) == 2 and len(keys) == 1
