"""How long a replay of 100,000 decisions takes: under 10 seconds.

The test checks the time of the processor, because other tests may run at the same time, and prints both.
"""

import time

import pytest

from audit.sequencing.sequencer import sequence
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.whatif import simulation
from decisions.whatif.simulation import Simulated, replay_decisions
from policies.services import create_policy
from tests.decisions.drivers import EventLoop, another_user_of, asking
from tests.world import Grant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak]

DECISIONS, BATCH, USERS = 100_000, 500, 20
RULES = [
    {"type": "rate_limit", "config": {"maxRequests": 400, "windowSeconds": 3600, "scope": "per_user"}},
    {
        "type": "context_match",
        "config": {
            "conditions": [
                {"field": "recipient", "operator": "ends_with", "value": "@acme.com"},
                {"field": "amount.value", "operator": "at_most", "value": "50.00"},
            ]
        },
    },
    {"type": "action_blocklist", "config": {"actions": ["payments:*"]}},
]


def request_of(number: int, tokens: list[str]) -> VerifyRequest:
    context = {
        "ip": "203.0.113.9",
        "recipient": f"user{number % 1000}@acme.com",
        "amount": {"value": f"{number % 60}.50", "currency": "EUR"},
        "text": "Dear all, the report is attached. " * 3,
    }
    return asking(tokens[number % len(tokens)], context=context, resource=f"mailbox/{number % 100}")


def test_100_000_decisions_are_replayed_in_10_seconds(
    loop: EventLoop, grant: Grant, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "MAX_SECONDS", 120.0)
    organization = grant.agent.organization
    policy = create_policy(actor=SYSTEM, organization=organization, name="In force", rules=RULES[:1])
    tokens = [grant.access_token, *(another_user_of(grant, f"user{number}") for number in range(USERS - 1))]
    for first in range(0, DECISIONS, BATCH):
        loop.decide(*[request_of(number, tokens) for number in range(first, first + BATCH)])
    while sequence():
        pass

    for name, simulated in {
        "a new policy": Simulated("Draft", None, RULES),
        "in place of another": Simulated("Draft", None, RULES, policy),
    }.items():
        start, began = time.perf_counter(), time.process_time()
        report = replay_decisions(simulated, organization_id=organization.id, days=7)
        took = time.perf_counter() - start
        cpu = time.process_time() - began
        with capsys.disabled():
            print(f"\n{name}: {report.totals.decisions} decisions in {took:.1f} s, {cpu:.1f} s of CPU")  # noqa: T201
        assert report.totals.decisions == DECISIONS
        assert cpu < 10
