"""A budget bounds all that is done below it: by 1,000 delegations, on two nodes, while processes are killed."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.environment import Servers
from tests.live.gate import Agent, Gate, Json, expect, race
from tests.live.operator import Operator
from tests.live.server import LiveServer
from tests.live.test_durability import StartServer
from tests.live.test_reservations import Shopper, pay

CHILDREN, AT_ONCE, AGENTS, SHOPPERS = 1000, 50, 4, 16
BUDGET = Decimal("100.00")
LIMIT = {
    "type": "spend_limit",
    "config": {"maxAmount": f"{BUDGET}", "currency": "EUR", "windowSeconds": 3600, "scope": "per_user"},
}
# Hands work from an agent to others, as the door does, and writes their access tokens to a file.
HAND_OVER = """
import json
from pathlib import Path
from agents.models import Agent
from core.actor import Actor
from tokens.delegations import Wanted, create_delegation
from tokens.exchange import redeem_delegation
giver, tokens = Agent.objects.get(pk={giver!r}), []
actor = Actor("agent", giver.pk)
for place in range({number}):
    receiver = Agent.objects.get(pk={receivers!r}[place % len({receivers!r})])
    wanted = Wanted(to=receiver.client_id, scopes=["email:read"], limits={limits!r})
    made = create_delegation(actor=actor, agent=giver, token={token!r}, wanted=wanted)
    issued = redeem_delegation(actor=actor, agent=receiver, token=made.token)
    tokens.append(issued.access_token)
Path({path!r}).write_text(json.dumps(tokens))
"""

pytestmark = pytest.mark.parametrize("live_store", ["postgresql"], indirect=True)


@pytest.fixture
def nodes(start_server: StartServer, servers: Servers) -> Iterator[list[LiveServer]]:
    """Two nodes of two processes each, with one database and one public URL."""
    first = start_server(processes=2, THROTTLE_DELEGATE="1000000/minute")
    with LiveServer(first.database, servers.folder, processes=2, API_URL=first.url) as second:
        yield [first, second]


@pytest.fixture
def hand_over(nodes: list[LiveServer], tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    operator = Operator(nodes[0])

    def hand(giver: Agent, token: str, receivers: Sequence[Agent], number: int, limits: Any = None) -> list[str]:
        path, tokens = tmp_path / "tokens", list[str]()
        given = {"giver": giver.id, "token": token, "receivers": [each.id for each in receivers]}
        while len(tokens) < number:
            some = min(AT_ONCE, number - len(tokens))
            operator.run(HAND_OVER.format(**given, number=some, limits=limits or {}, path=str(path)))
            tokens += json.loads(path.read_text())
        return tokens

    yield hand
    operator.stop()


class Child(Shopper):
    """Shops with any of many tokens, at any node."""

    def __init__(self, gates: Sequence[Gate], tokens: Sequence[str], seed: int) -> None:
        self._gates, self._tokens, self._chance = gates, tokens, random.Random(seed)
        self.spent = []

    @property
    def _gate(self) -> Gate:  # type: ignore[override]
        return self._chance.choice(self._gates)

    @property
    def _token(self) -> str:  # type: ignore[override]
        return self._chance.choice(self._tokens)


@pytest.mark.soak
@pytest.mark.parametrize("place", ["delegation", "connection"])
def test_1000_delegations_never_exceed_the_budget_above_them(
    nodes: list[LiveServer], hand_over: Callable[..., list[str]], place: str
) -> None:
    gates = [Gate(node.url) for node in nodes]
    tokens = children(gates[0], hand_over, is_delegated=place == "delegation")
    done, most, samples = threading.Event(), Decimal(0), 0
    shoppers = [Child(gates, tokens, seed) for seed in range(SHOPPERS)]

    def watch() -> None:
        nonlocal most, samples
        while not done.is_set():
            committed, held = totals(nodes[0])
            most, samples = max(most, committed + held), samples + 1

    def kill() -> None:
        try:
            for number in range(6):
                time.sleep(2)
                nodes[number % 2].kill_a_worker()
            time.sleep(3)
        finally:
            done.set()

    race(SHOPPERS + 2, lambda number: (watch, kill)[number]() if number < 2 else shoppers[number - 2].run(done))
    for node in nodes:
        node.wait_until_healthy()

    committed, held = totals(nodes[0])
    assert committed == sum(each for shopper in shoppers for each in shopper.spent)
    assert BUDGET * Decimal("0.9") < most <= BUDGET
    assert committed + held <= BUDGET
    assert samples > 100
    rest = BUDGET - committed - held
    for gate in gates:
        assert not pay(gate, random.choice(tokens), f"{rest + Decimal('0.001')}")
    assert pay(gates[1], random.choice(tokens), f"{rest}")
    assert not pay(gates[0], tokens[0], "0.00000001")


def children(gate: Gate, hand_over: Callable[..., list[str]], *, is_delegated: bool) -> list[str]:
    """Return access tokens of 1,000 delegations with a budget above them, that of the user.

    Or of 899 with that of a delegation: the last places of a connection are kept for its agent.
    """
    developer, person = gate.developer(), gate.person()
    first, second, *others = [gate.agent(developer) for _ in range(AGENTS)]
    consent = gate.initiate(first)
    bounds: Json = {} if is_delegated else {"limits": {"email:read": [LIMIT]}}
    code = gate.approve(consent, person, delegation="developer", **bounds)
    token = str(expect(200, gate.exchange(first, code))["accessToken"])
    if not is_delegated:
        return hand_over(first, token, [second, *others], CHILDREN)
    (below,) = hand_over(first, token, [second], 1, {"email:read": [LIMIT]})
    return hand_over(second, below, others, CHILDREN * 9 // 10 - 1)


def totals(node: LiveServer) -> tuple[Decimal, Decimal]:
    """Return what is committed and what is held, at one moment."""
    rows = node.database.rows(
        "SELECT sum(CASE status WHEN 'committed' THEN final_amount::numeric END),"
        " sum(CASE status WHEN 'held' THEN amount::numeric END) FROM limits_reservation"
    )
    committed, held = rows[0]
    return Decimal(committed or 0), Decimal(held or 0)
