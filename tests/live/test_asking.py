"""Approvals and guards against data flows hold over all processes together."""

import random
import time
from collections import Counter
from typing import Any

import pytest

from tests.live.gate import Agent, Developer, Gate, Json, Person, expect, race

pytestmark = pytest.mark.usefixtures("decides_directly")

PRIVATE, UNTRUSTED, OUT = "payments:read", "browser:read", "email:send"
MAIL = {"verb": "send", "recipient": "bob@acme.com", "text": "Hello", "amount": {"value": "12.50", "currency": "EUR"}}


def changed(**changes: Any) -> Json:
    return {**MAIL, **changes}


OTHER_MAILS = [
    changed(text="Hello!"),
    changed(recipient="eve@acme.com"),
    changed(amount={"value": "12.51", "currency": "EUR"}),
]


class Scene:
    """A developer, and a user who wants to be asked about each mail."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.developer: Developer = gate.developer()
        self.person: Person = gate.person()
        self.agent: Agent = gate.agent(self.developer)
        consent = gate.initiate(self.agent, ("email:read", OUT))
        code = gate.approve(consent, self.person, modes={OUT: "ask"})
        self.token = expect(200, gate.exchange(self.agent, code))["accessToken"]

    def send(self, context: Json = MAIL) -> Json:
        return self.gate.verify(self.token, OUT, context=context)

    def approve(self, approval_id: str) -> None:
        expect(200, self.gate.post(f"/approvals/{approval_id}/approve", {"for": "once"}, **self.person.headers))


def test_an_approval_allows_one_of_24_parallel_requests(gate: Gate) -> None:
    scene = Scene(gate)
    asked = scene.send()
    assert asked["reason"] == "approval_required"
    assert asked["approvalUrl"].endswith(f"/approvals/{asked['approvalId']}")
    scene.approve(asked["approvalId"])

    others = race(15, lambda number: scene.send(OTHER_MAILS[number % 3]))
    assert {decision["reason"] for decision in others} == {"approval_required"}
    decisions = race(24, lambda _: scene.send())

    assert Counter(decision["allowed"] for decision in decisions) == {True: 1, False: 23}
    again = {decision["approvalId"] for decision in decisions if not decision["allowed"]}
    assert len(again) == 1, "the same content is asked once"
    assert asked["approvalId"] not in again


def test_parallel_requests_ask_once(gate: Gate) -> None:
    scene = Scene(gate)
    decisions = race(24, lambda number: scene.send(changed(text=str(number % 2))))
    assert len({decision["approvalId"] for decision in decisions}) == 2


def test_no_data_leaves_after_both_labels_in_any_order(gate: Gate) -> None:
    """The log has the order of the commits."""
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer, (PRIVATE, UNTRUSTED, OUT))
    gate.policy(developer, "data_flow", windowSeconds=3600, then="deny")
    token = gate.tokens(agent, person, (PRIVATE, UNTRUSTED, OUT))["accessToken"]
    tasks = [f"task {number}" for number in range(6)]
    calls = [(task, scope) for task in tasks for scope in (PRIVATE, UNTRUSTED, *[OUT] * 10)]
    random.shuffle(calls)

    decisions = race(len(calls), lambda number: _call(gate, token, *calls[number]))

    order = _log_order(gate, developer, len(calls))
    found = {decision["auditId"]: (call, decision["allowed"]) for call, decision in zip(calls, decisions, strict=True)}
    seen: dict[str, set[str]] = {task: set() for task in tasks}
    for audit_id in order:
        (task, scope), was_allowed = found[audit_id]
        if scope == OUT:
            assert was_allowed == (seen[task] != {PRIVATE, UNTRUSTED}), task
        else:
            assert was_allowed
            seen[task].add(scope)


def _call(gate: Gate, token: str, task: str, scope: str) -> Json:
    return gate.verify(token, scope, context={"task": task})


def _log_order(gate: Gate, developer: Developer, number: int) -> list[str]:
    """Return the ids of the organization's decisions in the order of the log, once all are in it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = gate.get("/audit?event=token.verify&limit=200", **developer.headers)
        items = expect(200, answer)["items"]
        if len(items) == number and gate.get(f"/audit/{items[0]['id']}/proof", **developer.headers).status_code == 200:
            return [item["id"] for item in reversed(items)]
        time.sleep(0.2)
    raise AssertionError("The log did not catch up.")
