"""Waiting for an approval: it asks the server to wait, ends in time, and never asks in a tight loop."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, problem

from agentgate_oauth import (
    AgentGateClient,
    AgentGateVerifier,
    AsyncAgentGateClient,
    AsyncAgentGateVerifier,
    Decision,
)
from agentgate_oauth._api import approvals
from agentgate_oauth._call import Credential
from agentgate_oauth._effects import Flow, NetworkFailure, Send, Sleep
from agentgate_oauth.errors import NotFoundError, ReservationDeniedError
from agentgate_oauth.service.refusals import Challenge, refusal

REQUIRED = {
    "allowed": False,
    "reason": "approval_required",
    "approvalId": "apr_1",
    "approvalUrl": f"{BASE_URL}/approvals/apr_1",
}


def approval(status: str) -> httpx.Response:
    return httpx.Response(200, json={"id": "apr_1", "status": status, "expiresAt": "2026-03-01T12:00:00Z"})


class Clock:
    """A clock that only the effects of a flow move. `answers` takes the seconds that the server may wait."""

    def __init__(self, answers: Callable[[int], httpx.Response | NetworkFailure]) -> None:
        self.now = 1000.0
        self.answers = answers
        self.waits: list[int] = []
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def run(self, flow: Flow[Any]) -> Any:
        value: Any = None
        try:
            while True:
                effect = flow.send(value)
                if isinstance(effect, Sleep):
                    self.now += effect.seconds
                    self.sleeps.append(effect.seconds)
                    value = None
                else:
                    value = self._send(effect)
        except StopIteration as end:
            return end.value

    def _send(self, effect: object) -> httpx.Response | NetworkFailure:
        assert isinstance(effect, Send) and effect.path == "/api/v1/approvals/apr_1"
        assert effect.patience == float(effect.params.get("wait", 0))
        self.waits.append(int(effect.params.get("wait", 0)))
        self.now += 0.05
        return self.answers(self.waits[-1])


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(answers: Callable[[int], Any], seconds: float) -> tuple[str, Clock]:
        clock = Clock(answers)
        monkeypatch.setattr(approvals.time, "monotonic", clock.monotonic)
        return clock.run(approvals.wait_for_approval("apr_1", seconds, Credential())), clock

    return run


def test_it_asks_the_server_to_wait_as_long_as_it_may(monkeypatch):
    def park(seconds: int) -> httpx.Response:
        clock.now += seconds
        return approval("pending" if len(clock.waits) < 4 else "approved")

    clock = Clock(park)
    monkeypatch.setattr(approvals.time, "monotonic", clock.monotonic)
    assert clock.run(approvals.wait_for_approval("apr_1", 300, Credential())) == "approved"
    assert (clock.waits, clock.sleeps) == ([30] * 4, [])


@pytest.mark.parametrize("status", ["approved", "denied", "expired", "used"])
def test_a_decision_ends_the_waiting(wait, status):
    assert wait(lambda _: approval(status), 300)[0] == status


def test_a_server_that_does_not_wait_is_asked_after_growing_pauses(wait):
    status, clock = wait(lambda _: approval("pending"), 60)
    assert status == "pending"
    assert clock.sleeps[:5] == [1, 2, 4, 8, 8]
    assert len(clock.waits) < 13
    assert clock.now == pytest.approx(1060, abs=0.2)
    assert clock.waits[-1] == 0


def test_a_short_time_ends_in_time(wait):
    status, clock = wait(lambda _: approval("pending"), 0.5)
    assert (status, clock.waits) == ("pending", [0, 0])
    assert wait(lambda _: approval("pending"), 0)[1].waits == [0]


@pytest.mark.parametrize(
    "failure",
    [
        problem(429, "throttled", {"Retry-After": "7"}),
        problem(503, "unavailable", {"Retry-After": "7"}),
    ],
)
def test_retry_after_is_respected(wait, failure):
    answers = iter([failure, approval("approved")])
    status, clock = wait(lambda _: next(answers), 60)
    assert (status, clock.sleeps) == ("approved", [7])


@pytest.mark.parametrize(
    "failure",
    [problem(500, "internal"), problem(502, "bad_gateway"), NetworkFailure("ReadTimeout", True, BASE_URL)],
)
def test_errors_that_pass_do_not_end_the_waiting(wait, failure):
    answers = iter([failure, failure, approval("approved")])
    status, clock = wait(lambda _: next(answers), 60)
    assert (status, clock.sleeps) == ("approved", [1, 2])


def test_a_pause_is_not_longer_than_the_time(wait):
    status, clock = wait(lambda _: problem(429, "throttled", {"Retry-After": "3600"}), 20)
    assert (status, len(clock.sleeps)) == ("pending", 1)
    assert clock.now == pytest.approx(1020, abs=0.2)


def test_other_errors_are_raised(wait):
    with pytest.raises(NotFoundError):
        wait(lambda _: problem(404, "not_found"), 60)


# Sessions and verifiers


class AskingGate(FakeGate):
    """Requires an approval until it is `approved`. Its status is that of `statuses` in turn."""

    def __init__(self, *statuses: str) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.approved = False
        self.credentials: list[str] = []
        self.intercept = self._intercept

    def _intercept(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/api/v1/approvals/apr_1":
            self.credentials.append(request.headers["Authorization"])
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            self.approved = status == "approved"
            return approval(status)
        if request.url.path == "/api/v1/tokens/verify" and not self.approved:
            return httpx.Response(200, json=REQUIRED)
        return None


def connect(gate: FakeGate) -> AgentGateClient:
    return AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES)


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def test_a_session_asks_again_once_it_is_approved():
    gate = AskingGate("approved")
    session = connect(gate).create_session("code")
    decision = session.verify(
        ["email:send"], context={"recipient": "a@example.com"}, wait_for_approval=timedelta(minutes=5)
    )
    assert decision.allowed
    assert gate.calls["/tokens/verify"] == 2
    first, second = (json.loads(one.content) for one in gate.requests if one.url.path.endswith("/verify"))
    assert first == second
    assert gate.credentials == [basic("agc_1", CLIENT_SECRET)]


@pytest.mark.parametrize("status", ["denied", "expired", "used"])
def test_a_session_returns_the_denial_with_the_status(status: str):
    gate = AskingGate(status)
    decision = (
        connect(gate).create_session("code").verify(["email:send"], wait_for_approval=timedelta(minutes=5))
    )
    assert (decision.allowed, decision.reason) == (False, "approval_required")
    assert (decision.approval_id, decision.approval_url) == ("apr_1", f"{BASE_URL}/approvals/apr_1")
    assert decision.approval_status == status
    assert gate.calls["/tokens/verify"] == 1


def test_without_waiting_the_decision_is_returned_at_once():
    gate = AskingGate("approved")
    decision = connect(gate).create_session("code").verify(["email:send"])
    assert (decision.reason, decision.approval_status) == ("approval_required", None)
    assert gate.calls["/approvals/apr_1"] == 0


def test_the_time_is_over():
    gate = AskingGate("pending")
    began = time.monotonic()
    decision = (
        connect(gate).create_session("code").verify(["email:send"], wait_for_approval=timedelta(seconds=0.3))
    )
    assert decision.approval_status == "pending"
    assert time.monotonic() - began < 2
    assert gate.calls["/approvals/apr_1"] == 2


def test_a_request_that_is_held_back_has_no_approval_to_wait_for():
    gate = AskingGate("approved")
    gate.intercept = lambda request: (
        httpx.Response(200, json={"allowed": False, "reason": "approval_required", "retryAfterSeconds": 60})
        if request.url.path.endswith("/verify")
        else None
    )
    decision = (
        connect(gate).create_session("code").verify(["email:send"], wait_for_approval=timedelta(minutes=5))
    )
    assert (decision.reason, decision.retry_after_seconds) == ("approval_required", 60)


@pytest.mark.parametrize(("value", "error"), [(300, TypeError), (timedelta(seconds=-1), ValueError)])
def test_a_wrong_time_is_refused_before_anything_is_sent(value: Any, error: type[Exception]):
    gate = AskingGate("approved")
    session = connect(gate).create_session("code")
    with pytest.raises(error, match="wait_for_approval"):
        session.verify(["email:send"], wait_for_approval=value)
    assert gate.calls["/tokens/verify"] == 0


def test_a_session_reads_an_approval():
    found = connect(AskingGate("pending")).create_session("code").get_approval("apr_1")
    assert (found.id, found.status, found.code) == ("apr_1", "pending", None)


def test_a_verifier_waits_with_its_own_credential():
    gate = AskingGate("approved")
    verifier = AgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=gate.client(), retry=NO_PAUSES)
    gate.generation = 1
    assert verifier.verify("access-1", ["email:send"], wait_for_approval=timedelta(minutes=5)).allowed
    assert gate.credentials == [basic("res_1", "rs_1")]
    assert verifier.get_approval("apr_1").status == "approved"


def test_an_anonymous_verifier_cannot_wait():
    verifier = AgentGateVerifier(BASE_URL, http_client=AskingGate("approved").client())
    with pytest.raises(ValueError, match="resource_server_id"):
        verifier.verify("access-1", ["email:send"], wait_for_approval=timedelta(minutes=5))


async def test_asynchronous_classes_wait_too():
    gate = AskingGate("approved")
    http = gate.async_client()
    session = await AsyncAgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=http).create_session(
        "code"
    )
    assert (await session.verify(["email:send"], wait_for_approval=timedelta(minutes=5))).allowed
    gate.approved = False
    verifier = AsyncAgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=http)
    assert (await verifier.verify("access-1", ["email:send"], wait_for_approval=timedelta(minutes=5))).allowed


async def test_a_cancelled_wait_ends_at_once_and_leaves_the_session_usable():
    gate = AskingGate("pending")
    client = AsyncAgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.async_client())
    session = await client.create_session("code")
    waiting = asyncio.create_task(session.verify(["email:send"], wait_for_approval=timedelta(minutes=5)))
    await asyncio.sleep(0.1)
    assert gate.calls["/approvals/apr_1"] == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)
    asked = gate.calls["/approvals/apr_1"]
    gate.approved = True
    assert (await session.verify(["email:send"])).allowed
    assert gate.calls["/approvals/apr_1"] == asked


def test_a_response_may_take_as_long_as_the_server_may_wait():
    timeouts: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return approval("approved")

    http = httpx.Client(transport=httpx.MockTransport(answer), timeout=httpx.Timeout(5.0, connect=2.0))
    verifier = AgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=http)
    verifier._driver.run(approvals.wait_for_approval("apr_1", 300, Credential()))
    verifier.get_approval("apr_1")
    usual = {"connect": 2.0, "read": 5.0, "write": 5.0, "pool": 5.0}
    assert timeouts == [{**usual, "read": 35.0}, usual]


# What services answer


def test_a_refusal_says_where_the_user_approves():
    decision = Decision(
        allowed=False,
        reason="approval_required",
        approval_id="apr_1",
        approval_url="https://gate.example/approvals/apr_1",
        audit_id="log_1",
    )
    refused = refusal(decision, Challenge(), ["email:send"])
    assert refused is not None
    assert (refused.status, refused.media_type) == (403, "application/problem+json")
    text = "The user must approve this request at https://gate.example/approvals/apr_1. Then send it again."
    assert refused.body == {
        "type": "about:blank",
        "title": "The user must approve this request",
        "status": 403,
        "detail": text,
        "code": "approval_required",
        "error": "approval_required",
        "error_description": text,
        "reason": "approval_required",
        "approvalId": "apr_1",
        "approvalUrl": "https://gate.example/approvals/apr_1",
        "auditId": "log_1",
    }
    assert "WWW-Authenticate" not in refused.headers


def test_a_refusal_says_that_the_user_denied():
    decision = Decision(
        allowed=False,
        reason="approval_required",
        approval_id="apr_1",
        approval_url="https://gate.example/approvals/apr_1",
        approval_status="denied",
    )
    refused = refusal(decision, Challenge(), ["email:send"])
    assert refused is not None
    assert refused.body["title"] == "The user denied this request"
    assert refused.body["detail"] == "The user denied this request. Do not send it again."
    assert refused.body["approvalStatus"] == "denied"
    assert (refused.approval_id, refused.approval_url) == (None, None), "nothing is left to be opened"
    assert str(ReservationDeniedError(decision)).endswith(": the user has denied it")


def test_a_request_that_was_denied_before_is_not_waited_for():
    gate = AskingGate("denied")
    denied = {
        "allowed": False,
        "reason": "approval_required",
        "approvalId": "apr_1",
        "approvalUrl": f"{BASE_URL}/approvals/apr_1",
        "approvalStatus": "denied",
    }
    gate.intercept = lambda request: (
        httpx.Response(200, json=denied) if request.url.path.endswith("/verify") else None
    )
    decision = (
        connect(gate).create_session("code").verify(["email:send"], wait_for_approval=timedelta(minutes=5))
    )
    assert decision.approval_status == "denied"
    assert gate.calls["/approvals/apr_1"] == 0


@pytest.mark.parametrize("seconds,text", [(None, "is not allowed"), (60, "is not allowed now")])
def test_a_refusal_by_a_policy_says_now_only_if_time_helps(seconds: int | None, text: str):
    decision = Decision(allowed=False, reason="policy_denied", retry_after_seconds=seconds)
    refused = refusal(decision, Challenge(), ["email:send"])
    assert refused is not None and refused.body["error_description"] == f"the request {text}"


def test_a_refusal_without_a_link_says_when_to_try_again():
    decision = Decision(allowed=False, reason="approval_required", retry_after_seconds=60)
    refused = refusal(decision, Challenge(), ["email:send"])
    assert refused is not None and refused.headers == {"Retry-After": "60"}
    assert "Try again later" in refused.body["detail"]
