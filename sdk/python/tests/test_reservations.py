"""A reservation is committed in its block, or given back, whatever happens there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fake_gate import BASE_URL, CLIENT_SECRET, NO_PAUSES, FakeGate, problem

from agentgate_oauth import (
    AgentGateClient,
    AgentGateVerifier,
    AsyncAgentGateClient,
    AsyncAgentGateVerifier,
    ConnectionFailedError,
    Reservation,
    ReservationDeniedError,
    UnavailableError,
    UnexpectedResponseError,
)
from agentgate_oauth.errors import InvalidRequestError

EUR = {"amount": {"value": "80.00", "currency": "EUR"}}
ALLOWED = {"allowed": True, "userId": "usr_1", "auditId": "log_1", "reservationId": "rsv_1"}
RESOLVED = {
    "id": "rsv_1",
    "status": "committed",
    "amount": "80.00",
    "finalAmount": "12.50",
    "currency": "EUR",
    "expiresAt": "2026-03-01T12:00:00Z",
    "resolvedAt": "2026-03-01T11:55:00Z",
}
COMMIT, VOID = "/tokens/reservations/rsv_1/commit", "/tokens/reservations/rsv_1/void"


class Budget(FakeGate):
    """Reserves what is asked, and remembers what follows. `failure` is its response to that.

    It answers the first `busy` requests with 503.
    """

    def __init__(self, decision: dict[str, Any] = ALLOWED) -> None:
        super().__init__()
        self.decision = decision
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.busy = 0
        self.resolved: list[tuple[str, Any]] = []
        self.credentials: list[str | None] = []
        self.failure: Callable[[httpx.Request], httpx.Response] | None = None
        self.intercept = self._intercept

    def _intercept(self, request: httpx.Request) -> httpx.Response | None:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/tokens/verify":
            self.asked.append(json.loads(request.content))
            self.keys.append(request.headers.get("Idempotency-Key"))
            if self.busy:
                self.busy -= 1
                return problem(503, "unavailable")
            return httpx.Response(200, json=self.decision)
        if path.startswith("/tokens/reservations/"):
            self.credentials.append(request.headers.get("Authorization"))
            self.resolved.append((path, json.loads(request.content)))
            return self.failure(request) if self.failure else httpx.Response(200, json=RESOLVED)
        return None


@pytest.fixture
def gate() -> Budget:
    return Budget()


@pytest.fixture(params=["session", "verifier"])
def reserve(request: pytest.FixtureRequest, gate: Budget) -> Callable[..., Reservation]:
    """Return the `reserve` of a session and of a verifier."""
    if request.param == "session":
        client = AgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES)
        return client.create_session("code").reserve
    verifier = AgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=gate.client(), retry=NO_PAUSES)
    return lambda *args, **kwargs: verifier.reserve("access-1", *args, **kwargs)


def test_a_reservation_is_committed(reserve, gate):
    with reserve(["payments:charge"], context=EUR, expires_in=timedelta(minutes=2)) as reservation:
        assert (reservation.id, reservation.decision.user_id) == ("rsv_1", "usr_1")
        resolved = reservation.commit("12.50")
    assert (resolved.status, resolved.final_amount, resolved.currency) == ("committed", "12.50", "EUR")
    (asked,) = gate.asked
    assert (asked["reserve"], asked["expiresInSeconds"], asked["context"]) == (True, 120, EUR)
    assert gate.resolved == [(COMMIT, {"amount": {"value": "12.50", "currency": "EUR"}})]


def test_a_reservation_whose_response_is_lost_is_repeated_with_its_key(reserve, gate):
    gate.lose_answer_to = "/tokens/verify"
    with reserve(["payments:charge"], context=EUR):
        pass
    first, second = gate.keys
    assert first and first == second


def test_a_reservation_keeps_its_key_until_it_is_made(reserve, gate):
    reservation = reserve(["payments:charge"], context=EUR)
    gate.busy = 5  # one more than the attempts of one call, and the server may have acted
    with pytest.raises(UnavailableError), reservation:
        pytest.fail("the block ran")
    with reservation:
        pass
    assert (len(gate.keys), len(set(gate.keys))) == (6, 1)


def test_each_reservation_has_its_own_key(reserve, gate):
    for _ in range(2):
        with reserve(["payments:charge"], context=EUR):
            pass
    assert len(set(gate.keys)) == 2


@pytest.mark.parametrize(
    ("amount", "sent"),
    [
        (None, {}),
        ("7", {"amount": {"value": "7", "currency": "EUR"}}),
        (7, {"amount": {"value": "7", "currency": "EUR"}}),
        (Decimal("1E+1"), {"amount": {"value": "10", "currency": "EUR"}}),
        ({"value": "7.000", "currency": "KWD"}, {"amount": {"value": "7.000", "currency": "KWD"}}),
    ],
)
def test_amounts(reserve, gate, amount, sent):
    with reserve(["payments:charge"], context=EUR) as reservation:
        reservation.commit(amount)
    assert gate.resolved == [(COMMIT, sent)]
    assert "expiresInSeconds" not in gate.asked[0]


def test_leaving_without_a_commit_gives_it_back(reserve, gate):
    with reserve(["payments:charge"], context=EUR):
        pass
    assert gate.resolved == [(VOID, {})]


def test_an_error_in_the_block_gives_it_back_and_is_raised(reserve, gate):
    with pytest.raises(KeyError), reserve(["payments:charge"], context=EUR):
        raise KeyError("the shop is closed")
    assert gate.resolved == [(VOID, {})]


def test_an_error_after_the_commit_changes_nothing(reserve, gate):
    with pytest.raises(KeyError), reserve(["payments:charge"], context=EUR) as reservation:
        reservation.commit("1.00")
        raise KeyError("the receipt is lost")
    assert [path for path, _ in gate.resolved] == [COMMIT]


def test_a_reservation_that_was_voided_is_not_voided_again(reserve, gate):
    with reserve(["payments:charge"], context=EUR) as reservation:
        reservation.void()
    assert gate.resolved == [(VOID, {})]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (problem(503, "unavailable"), UnavailableError),
        (problem(400, "validation_failed"), InvalidRequestError),
    ],
)
def test_a_failed_commit_is_reported_and_not_voided(reserve, gate, failure, error):
    """The server may have committed it, and what it pays for may have happened."""
    gate.failure = lambda _: failure
    with pytest.raises(error), reserve(["payments:charge"], context=EUR) as reservation:
        reservation.commit("99.00")
    assert {path for path, _ in gate.resolved} == {COMMIT}


def test_a_commit_whose_response_is_lost_is_repeated(reserve, gate):
    gate.lose_answer_to = COMMIT
    with reserve(["payments:charge"], context=EUR) as reservation:
        reservation.commit("1.00")
    assert [path for path, _ in gate.resolved] == [COMMIT, COMMIT]


def test_a_commit_can_be_tried_again(reserve, gate):
    gate.failure = lambda _: problem(400, "validation_failed")
    with reserve(["payments:charge"], context=EUR) as reservation:
        with pytest.raises(InvalidRequestError):
            reservation.commit("99.00")
        gate.failure = None
        reservation.commit("80.00")
    assert [path for path, _ in gate.resolved] == [COMMIT, COMMIT]


def cut(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("connection cut", request=request)


def test_a_failed_void_is_reported(reserve, gate):
    gate.failure = cut
    with pytest.raises(ConnectionFailedError), reserve(["payments:charge"], context=EUR):
        pass


def test_a_failed_void_does_not_hide_the_error_of_the_block(reserve, gate, caplog):
    gate.failure = cut
    with pytest.raises(KeyError), reserve(["payments:charge"], context=EUR):
        raise KeyError("the shop is closed")
    assert "rsv_1 was not voided, and counts until it lapses" in caplog.text


@pytest.mark.parametrize("reason", ["policy_denied", "approval_required", "token_revoked"])
def test_a_denied_request_does_not_enter_the_block(reserve, gate, reason):
    gate.decision = {"allowed": False, "reason": reason}
    with pytest.raises(ReservationDeniedError, match=reason) as denied, reserve(["payments:charge"]):
        pytest.fail("the block ran")
    assert denied.value.decision.reason == reason
    assert gate.resolved == []


def test_an_allowed_request_without_a_reservation_does_not_enter_the_block(reserve, gate):
    gate.decision = {"allowed": True}
    with pytest.raises(UnexpectedResponseError, match="reservationId"), reserve(["payments:charge"]):
        pytest.fail("the block ran")


@pytest.mark.parametrize("amount", [1.5, True, ["1"]])
def test_an_inexact_amount_is_refused_and_the_reservation_given_back(reserve, gate, amount):
    with pytest.raises(TypeError, match="exact"), reserve(["payments:charge"], context=EUR) as reservation:
        reservation.commit(amount)
    assert gate.resolved == [(VOID, {})]


def test_an_amount_needs_a_currency(reserve):
    with pytest.raises(ValueError, match="currency"), reserve(["payments:charge"]) as reservation:
        reservation.commit("1.00")


def test_a_reservation_is_entered_once_and_has_nothing_before(reserve):
    reservation = reserve(["payments:charge"], context=EUR)
    with pytest.raises(RuntimeError, match="with block"):
        _ = reservation.id
    assert repr(reservation) == "<Reservation None>"
    with reservation:
        assert repr(reservation) == "<Reservation rsv_1>"
    with pytest.raises(RuntimeError, match="once"), reservation:
        pytest.fail("the block ran")


def test_the_time_is_a_timedelta(reserve):
    with pytest.raises(TypeError, match="expires_in"):
        reserve(["payments:charge"], expires_in=600)


def test_a_reservation_is_resolved_with_the_credential_that_made_it(gate):
    """A session has none: it asks anonymously, and so does a verifier without a credential."""
    session = AgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.client(), retry=NO_PAUSES
    ).create_session("code")
    anonymous = AgentGateVerifier(BASE_URL, http_client=gate.client())
    service = AgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=gate.client())
    for reservation in (
        session.reserve(["payments:charge"], context=EUR),
        anonymous.reserve("access-1", ["payments:charge"], context=EUR),
        service.reserve("access-1", ["payments:charge"], context=EUR),
    ):
        with reservation:
            pass
    assert gate.credentials == [None, None, "Basic cmVzXzE6cnNfMQ=="]


async def test_asynchronous_reservations(gate):
    client = AsyncAgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.async_client())
    session = await client.create_session("code")
    async with session.reserve(["payments:charge"], context=EUR) as reservation:
        await reservation.commit("12.50")
    verifier = AsyncAgentGateVerifier(BASE_URL, "res_1", "rs_1", http_client=gate.async_client())
    async with verifier.reserve("access-1", ["payments:charge"], context=EUR):
        pass
    with pytest.raises(KeyError):
        async with session.reserve(["payments:charge"], context=EUR):
            raise KeyError("the shop is closed")
    assert [path for path, _ in gate.resolved] == [COMMIT, VOID, VOID]


async def test_asynchronous_reservations_are_repeated_with_their_keys(gate):
    client = AsyncAgentGateClient(
        BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.async_client(), retry=NO_PAUSES
    )
    session = await client.create_session("code")
    verifier = AsyncAgentGateVerifier(
        BASE_URL, "res_1", "rs_1", http_client=gate.async_client(), retry=NO_PAUSES
    )
    for reservation in (
        session.reserve(["payments:charge"], context=EUR),
        verifier.reserve("access-1", ["payments:charge"], context=EUR),
    ):
        gate.lose_answer_to = "/tokens/verify"
        async with reservation:
            pass
    first, repeated, second, again = gate.keys
    assert first == repeated != second == again


async def test_a_cancelled_block_gives_it_back(gate):
    client = AsyncAgentGateClient(BASE_URL, "agc_1", CLIENT_SECRET, http_client=gate.async_client())
    session = await client.create_session("code")

    async def work() -> None:
        async with session.reserve(["payments:charge"], context=EUR):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.resolved == [(VOID, {})]
