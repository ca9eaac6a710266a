"""A tenant that costs the most its bounds allow, and a neighbor: each pair, on both databases."""

import json
import multiprocessing
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import quantiles

import pytest

from limits.counting import MAX_PER_REQUEST
from policies.quotas import MAX_LIMITS, MAX_RULES
from policies.rules.parsing import MAX_RULES as RULES_PER_POLICY
from tests.live.gate import Developer, Gate, Json, expect
from tests.live.load import CLIENT_SECONDS, Answer, Load
from tests.live.server import LiveServer

pytestmark = pytest.mark.soak
StartServer = Callable[..., LiveServer]

SECONDS = 8.0
# At a few requests per second. In a shorter time, hardly any of the neighbor's meet one: without policies, p99 varied
# from 2.6 to 5.9 ms.
PACED_SECONDS = 24.0
# Between two requests of a client of the neighbor.
PAUSE = 0.02
CLIENTS = 16
TOKENS = 8
SATURATED_P99 = 0.05


class Steady(Load):
    """A tenant whose clients pause before each request, or not."""

    pause = 0.0

    def _ask(self, *arguments: object) -> Answer:
        time.sleep(self.pause)
        return super()._ask(*arguments)  # type: ignore[arg-type]


class Neighbor(Steady):
    """A tenant that asks at a steady rate."""

    pause = PAUSE


class Single(Steady):
    """A tenant that asks one question after the other, each with as many scopes and words as rules can look at."""

    def body(self, token: str) -> str:
        return json.dumps(question(token))


class Batches(Steady):
    """A tenant that asks a hundred at a time."""

    path = "/api/v1/tokens/verify/batch"

    def body(self, token: str) -> str:
        return json.dumps({"requests": [question(token)] * 100})


class Together(Batches):
    """The same, each with a key and a reservation."""

    def body(self, token: str) -> str:
        return json.dumps({"requests": [{**question(token), "reserve": True}] * 100})

    def headers_of_one(self) -> dict[str, str]:
        return {**self.headers, "Idempotency-Key": secrets.token_hex(8)}


class Reused(Together):
    """The same with a key that belongs to another call, so that all are refused."""

    def _prepare(self, gate: Gate, tokens: int, secret: str) -> None:
        super()._prepare(gate, tokens, secret)
        self._usual = 409
        first = json.loads(self.bodies[0])["requests"][:1]
        expect(200, gate.post("/tokens/verify/batch", {"requests": first}, **self.headers_of_one()))

    def headers_of_one(self) -> dict[str, str]:
        return {**self.headers, "Idempotency-Key": "reused"}


class Containers(Batches):
    """The same with bodies that a thread has to parse."""

    def body(self, token: str) -> str:
        return json.dumps({"requests": [question(token, lists=[[]] * 12)] * 100})


def question(token: str, **context: object) -> Json:
    body = {"amount": {"value": "0.01", "currency": "EUR"}, "t": "a" * 500, "ip": "203.0.113.7", **context}
    return {"token": token, "requiredScopes": ["email:read"], "context": body}


def limits(number: int) -> list[Json]:
    shared = {"maxAmount": "100000000.00", "currency": "EUR", "scope": "per_user"}
    return [{"type": "spend_limit", "config": {**shared, "windowSeconds": 60 + each}} for each in range(number)]


def cedar() -> list[Json]:
    text = 'permit (principal, action, resource);forbid (principal, action, resource) when { context.request.t like "*'
    return [{"type": "cedar", "config": {"policy": f'{text}{"a" * 200}b{number}*" }};'}} for number in range(2)]


def lists() -> list[Json]:
    ranges = [f"10.0.{number}.0/24" for number in range(149)] + ["203.0.113.0/24"]
    return [{"type": "ip_allowlist", "config": {"cidrs": ranges}}] * (MAX_RULES // 5)


def shares() -> list[Json]:
    """Return as many limits as all calls of a batch can have."""
    return limits(MAX_PER_REQUEST // 100)


def rules() -> list[Json]:
    """Return as many short rules as a call can have, and these limits."""
    block = {"type": "action_blocklist", "config": {"actions": ["calendar:*", "payments:*", "email:send"]}}
    return [*[block] * (MAX_RULES - MAX_PER_REQUEST // 100), *shares()]


def everything() -> list[Json]:
    return [*limits(MAX_LIMITS), *cedar(), *lists()]


def write(gate: Gate, developer: Developer, rules: Sequence[Json]) -> None:
    for start in range(0, len(rules), RULES_PER_POLICY):
        body = {"name": "x", "rules": rules[start : start + RULES_PER_POLICY]}
        expect(201, gate.post("/policies", body, **developer.headers))


COSTS: Mapping[str, Callable[[], list[Json]]] = {
    "limits": lambda: limits(MAX_LIMITS),
    "cedar": cedar,
    "lists": lists,
    "everything": everything,
    "shares": shares,
    "rules": rules,
}
# The pause of a single client that does not saturate the server.
PACES = {"single": 1 / 18, "batches": 1 / 1.7, "together": 1 / 1.7, "containers": 1 / 1.7, "reused": 1 / 1.7}
FLOODS: Mapping[str, type[Steady]] = {
    "single": Single,
    "batches": Batches,
    "together": Together,
    "containers": Containers,
    "reused": Reused,
}


@contextmanager
def editing(server: LiveServer, developer: Developer) -> Iterator[None]:
    """Edit a policy as often as the throttle allows."""
    gate, done = Gate(server.url), threading.Event()

    def edit() -> None:
        made = expect(201, gate.post("/policies", {"name": "x", "rules": []}, **developer.headers))
        number = 0
        while not done.wait(1.0):
            number += 1
            gate.call("PATCH", f"/policies/{made['id']}", {"name": f"x{number}", "rules": []}, **developer.headers)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def flooding(load: Steady, pause: float) -> Iterator[None]:
    """Run the load in a process of its own, which does not slow the clients that are measured."""
    context = multiprocessing.get_context("fork")
    begun, done = context.Event(), context.Event()

    def run() -> None:
        with load:
            load.pause = pause
            begun.set()
            done.wait()

    process = context.Process(target=run)
    process.start()
    try:
        assert begun.wait(CLIENT_SECONDS)
        yield
    finally:
        done.set()
        process.join(CLIENT_SECONDS)


def neighbors_p99(
    server: LiveServer, flood: Steady, pause: float, seconds: float, *, is_editing: bool = False
) -> float:
    """Return the neighbor's p99 in seconds beside this load. Nothing is refused to the neighbor."""
    with ExitStack() as stack:
        neighbor = Neighbor(server, clients=2)
        stack.enter_context(flooding(flood, pause))
        stack.enter_context(neighbor)
        if is_editing:
            stack.enter_context(editing(server, flood.developer))
        time.sleep(2)
        began = time.monotonic()
        time.sleep(seconds)
    assert set(neighbor.statuses()) == {200}
    return quantiles([each.seconds for each in neighbor.answers if each.asked >= began], n=100)[98]


PAIRS = [
    *(("single", costs) for costs in COSTS),
    *((flood, "everything") for flood in FLOODS if flood != "single"),
    ("together", "shares"),
    ("together", "rules"),
]


@pytest.mark.parametrize(("flood", "costs"), PAIRS)
def test_a_costly_tenant_does_not_slow_its_neighbor(start_server: StartServer, flood: str, costs: str) -> None:
    """The neighbor's p99 beside the saturated server, and beside the same load without policies."""
    plain, costly = compared(start_server(processes=1), flood, costs, CLIENTS, pause=0.0, seconds=SECONDS)
    assert costly <= max(SATURATED_P99, 2 * plain)


@pytest.mark.parametrize(("flood", "costs"), PAIRS)
def test_at_the_same_rate_policies_at_most_double_what_a_neighbor_waits(
    start_server: StartServer, flood: str, costs: str
) -> None:
    """The neighbor's p99 beside a few requests per second, with the policies and without."""
    plain, costly = compared(start_server(processes=1), flood, costs, 1, PACES[flood], PACED_SECONDS)
    assert costly <= 2 * plain


def compared(
    server: LiveServer, flood: str, costs: str, clients: int, pause: float, seconds: float
) -> tuple[float, float]:
    """Return the neighbor's p99 beside the load without policies, and with them."""
    plain = neighbors_p99(server, FLOODS[flood](server, clients, TOKENS), pause, seconds)
    load = FLOODS[flood](server, clients, TOKENS)
    write(Gate(server.url), load.developer, COSTS[costs]())
    costly = neighbors_p99(server, load, pause, seconds, is_editing=True)
    sys.stdout.write(f"{flood}, {costs}: p99 {costly * 1000:.1f} ms, without policies {plain * 1000:.1f} ms\n")
    return plain, costly
