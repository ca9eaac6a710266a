"""Budgets hold over all processes together, in every window, whoever dies between a reservation and its commit."""

import random
import secrets
import threading
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.live.gate import Gate, Json, expect, race
from tests.live.test_durability import StartServer
from tests.waiting import wait_until

CALLS = 32


def spending(value: Any, currency: str = "EUR", *, reserve: bool = True, **more: Any) -> Json:
    return {"reserve": reserve, "context": {"amount": {"value": value, "currency": currency}}, **more}


def pay(gate: Gate, token: str, value: Any, currency: str = "EUR") -> bool:
    return bool(gate.verify(token, **spending(value, currency, reserve=False))["allowed"])


def budget(gate: Gate, most: str, currency: str = "EUR", seconds: int = 3600) -> str:
    """Return a token under a budget."""
    developer, person = gate.developer(), gate.person()
    gate.policy(developer, "spend_limit", maxAmount=most, currency=currency, windowSeconds=seconds, scope="per_user")
    return str(gate.tokens(gate.agent(developer), person)["accessToken"])


@pytest.mark.usefixtures("decides_directly")
def test_32_parallel_reservations_to_four_processes_never_exceed_the_budget(gate: Gate) -> None:
    token = budget(gate, "100.00")

    decisions = race(CALLS, lambda _: gate.verify(token, **spending("9.99")))

    assert Counter(decision["allowed"] for decision in decisions) == {True: 10, False: CALLS - 10}
    assert len({each["reservationId"] for each in decisions if each["allowed"]}) == 10
    denied = next(decision for decision in decisions if not decision["allowed"])
    assert denied["policy"]["ruleType"] == "spend_limit"
    assert 600 - 60 < denied["retryAfterSeconds"] <= 660
    assert pay(gate, token, "0.10")
    assert not pay(gate, token, "0.00000001")


def test_a_batch_and_an_idempotency_key_reserve_once_over_all_processes(gate: Gate) -> None:
    token = budget(gate, "10.00")
    asked = {"token": token, "requiredScopes": ["email:read"], **spending("4.00")}
    body, key = {"requests": [asked] * 3}, secrets.token_hex(8)

    answers = race(8, lambda _: expect(200, gate.post("/tokens/verify/batch", body, Idempotency_Key=key))["decisions"])

    assert all(answer[:2] == answers[0][:2] for answer in answers)
    assert all([decision["allowed"] for decision in answer] == [True, True, False] for answer in answers)


def test_one_of_32_parallel_commits_and_voids_wins(gate: Gate) -> None:
    token = budget(gate, "10.00")
    path = f"/tokens/reservations/{gate.verify(token, **spending('10.00'))['reservationId']}"

    def resolve(number: int) -> httpx.Response:
        amount = {"value": f"{number % 4}.00", "currency": "EUR"}
        return gate.post(f"{path}/commit", {"amount": amount}) if number % 4 else gate.post(f"{path}/void")

    answers = race(CALLS, resolve)

    assert {answer.status_code for answer in answers} == {200, 409}
    (final,) = {str(answer.json()["finalAmount"]) for answer in answers if answer.status_code == 200}
    rest = Decimal(10) - Decimal(0 if final == "None" else final)
    assert pay(gate, token, f"{rest}")
    assert not pay(gate, token, "0.01")


class Shopper:
    """Reserves and then commits, voids or forgets, until it is told to stop. A lost answer is repeated or forgotten."""

    def __init__(self, gate: Gate, token: str, seed: int) -> None:
        self._gate, self._token, self._chance = gate, token, random.Random(seed)
        self.reserved = 0
        self.spent: list[Decimal] = []

    def run(self, done: threading.Event) -> None:
        while not done.is_set():
            amount = Decimal(self._chance.randrange(1, 300)).scaleb(-2)
            try:
                decision = self._gate.verify(self._token, **spending(f"{amount}", expiresInSeconds=600))
            except httpx.TransportError:  # it may have been reserved
                continue
            if decision["allowed"]:
                self.reserved += 1
                self._resolve(decision["reservationId"], amount)
            else:
                time.sleep(0.01)

    def _resolve(self, reservation: str, amount: Decimal) -> None:
        kind = self._chance.random()
        if kind < 0.1:  # the service died, too
            return
        path = f"/tokens/reservations/{reservation}"
        if kind < 0.9:
            self._repeat(f"{path}/void", {})
            return
        final = (amount / 2).quantize(Decimal("0.001"))
        self._repeat(f"{path}/commit", {"amount": {"value": f"{final}", "currency": "EUR"}})
        self.spent.append(final)

    def _repeat(self, path: str, body: Json) -> None:
        while True:
            try:
                expect(200, self._gate.post(path, body))
                return
            except httpx.TransportError:
                time.sleep(0.01)


def test_nothing_exceeds_the_budget_when_the_server_is_killed_between_reserve_and_commit(
    start_server: StartServer,
) -> None:
    server = start_server(processes=2)
    gate = Gate(server.url)
    token = budget(gate, "60.00")
    done = threading.Event()
    shoppers = [Shopper(gate, token, seed) for seed in range(4)]

    def reserved() -> int:
        return sum(shopper.reserved for shopper in shoppers)

    def act(number: int) -> None:
        if number:
            shoppers[number - 1].run(done)
            return
        try:
            for goal in (10, 20):
                time.sleep(0.7)
                wait_until(lambda goal=goal: reserved() > goal)
                server.kill_a_worker()
            time.sleep(0.7)
            wait_until(lambda: reserved() > 30)
        finally:
            done.set()

    race(5, act)
    server.wait_until_healthy()

    rows = server.database.rows("SELECT status, amount, final_amount FROM limits_reservation")
    committed = [Decimal(final) for status, _, final in rows if status == "committed"]
    held = [Decimal(amount) for status, amount, _ in rows if status == "held"]
    assert sorted(committed) == sorted(each for shopper in shoppers for each in shopper.spent)
    assert len(rows) > 20
    assert committed
    rest = Decimal("60.00") - sum(committed) - sum(held)
    assert rest >= 0
    assert not pay(gate, token, f"{rest + Decimal('0.001')}")
    assert pay(gate, token, f"{rest}")


@pytest.mark.soak
def test_no_window_contains_more_than_the_budget(gate: Gate) -> None:
    token = budget(gate, "2.000", "KWD", seconds=2)
    ends = time.monotonic() + 30

    def hammer(number: int) -> list[tuple[float, float]]:
        """Return the start of each reservation and the end of its commit of a tenth of the budget."""
        passed = []
        while time.monotonic() < ends:
            began = time.monotonic()
            decision = gate.verify(token, **spending("0.400", "KWD", expiresInSeconds=60))
            if not decision["allowed"]:
                continue
            amount = {"value": "0.200", "currency": "KWD"}
            path = f"/tokens/reservations/{decision['reservationId']}/commit"
            expect(200, gate.post(path, {"amount": amount}))
            passed.append((began, time.monotonic()))
        return passed

    spans = sorted(span for each in race(16, hammer) for span in each)
    assert len(spans) > 50
    for index in range(len(spans) - 10):
        # 11 amounts that were certainly spent within two seconds would exceed the budget.
        together = spans[index : index + 11]
        assert max(end for _, end in together) - min(start for start, _ in together) >= 2
