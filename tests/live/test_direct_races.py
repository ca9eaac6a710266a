"""Limits and denials under load, where the event loops of four processes answer everything themselves."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.live.gate import TLS, Agent, Developer, Gate, Json, expect, race
from tests.live.metrics import answered_directly
from tests.live.server import LiveServer

LIMIT = {"windowSeconds": 3600}


@dataclass
class Scene:
    """One agent with the tokens of two users, and the server."""

    server: LiveServer
    gate: Gate
    developer: Developer
    agent: Agent
    tokens: list[str]


@pytest.fixture
def scene(gate: Gate, shared_server: LiveServer) -> Scene:
    developer = gate.developer()
    agent = gate.agent(developer)
    tokens = [gate.tokens(agent, gate.person())["accessToken"] for _ in range(2)]
    return Scene(shared_server, gate, developer, agent, tokens)


def by_verify(gate: Gate, token: str) -> int:
    return int(gate.verify(token)["allowed"])


def by_batch(gate: Gate, token: str) -> int:
    questions = [{"token": token, "requiredScopes": ["email:read"]}] * 3
    answer = expect(200, gate.post("/tokens/verify/batch", {"requests": questions}))
    return sum(decision["allowed"] for decision in answer["decisions"])


def by_proxy(gate: Gate, token: str) -> int:
    answer = gate.get("/forward-auth?scopes=email:read", Authorization=f"Bearer {token}")
    assert answer.status_code in (200, 403), answer.text
    return int(answer.status_code == 200)


def test_one_limit_is_exact_over_all_ways_to_ask(scene: Scene) -> None:
    scene.gate.policy(scene.developer, "rate_limit", maxRequests=20, scope="per_agent", **LIMIT)
    ways = (by_verify, by_batch, by_proxy)
    with answered_directly(scene.server):
        allowed = race(33, lambda number: ways[number % 3](scene.gate, scene.tokens[number % 2]))
    assert sum(allowed) == 20


def test_several_limits_count_together_or_not_at_all(scene: Scene) -> None:
    """A denial by one limit uses nothing of the others: once the first is raised, all of the second is left."""
    gate, developer = scene.gate, scene.developer
    policy = gate.policy(developer, "rate_limit", maxRequests=15, scope="global", **LIMIT)
    gate.policy(developer, "rate_limit", maxRequests=10, scope="per_user", **LIMIT)
    gate.policy(developer, "rate_limit", maxRequests=40, scope="per_agent", **LIMIT)
    ways = (by_verify, by_batch, by_proxy)

    def act(number: int) -> tuple[int, int]:
        return number % 2, ways[number % 3](gate, scene.tokens[number % 2])

    with answered_directly(scene.server):
        first = race(36, act)
    raised = [{"type": "rate_limit", "config": {"maxRequests": 1000, "scope": "global", **LIMIT}}]
    expect(200, gate.call("PATCH", f"/policies/{policy}", {"rules": raised}, **developer.headers))
    with answered_directly(scene.server):
        second = race(36, act)

    assert sum(number for _, number in first) == 15
    totals: Counter[int] = Counter()
    for who, number in [*first, *second]:
        totals[who] += number
    assert totals == {0: 10, 1: 10}


def test_a_load_of_mostly_denials_is_exact_and_in_the_log(scene: Scene) -> None:
    """Every decision has its entry, and nothing that was denied has used a limit."""
    gate, developer = scene.gate, scene.developer
    gate.policy(developer, "rate_limit", maxRequests=20, scope="per_agent", **LIMIT)
    gate.policy(developer, "action_blocklist", actions=["email:search"])
    expect(200, gate.post("/tokens/revoke", {"token": scene.tokens[1]}))
    asked: list[dict[str, Any]] = [
        {"token": scene.tokens[0], "requiredScopes": ["email:read"]},
        {"token": scene.tokens[0], "requiredScopes": ["payments:refund"]},
        {"token": scene.tokens[0], "requiredScopes": ["email:read"], "action": "email:search"},
        {"token": scene.tokens[1], "requiredScopes": ["email:read"]},
        {"token": f"{scene.tokens[0][:-4]}AAAA", "requiredScopes": ["email:read"]},
    ]

    def hammer(number: int) -> list[Json]:
        return [expect(200, gate.post("/tokens/verify", asked[(number + each) % len(asked)])) for each in range(25)]

    with answered_directly(scene.server):
        decisions = [decision for each in race(8, hammer) for decision in each]

    reasons = Counter(decision.get("reason", "allowed") for decision in decisions)
    assert reasons["allowed"] == 20
    assert reasons["policy_denied"] == 40 - 20 + 40
    assert [reasons[each] for each in ("insufficient_scope", "token_revoked", "invalid_token")] == [40] * 3
    answered = [decision["auditId"] for decision in decisions if "auditId" in decision]
    logged = [entry["id"] for entry in gate.entries(developer, event="token.verify")]
    assert len(logged) == 160
    assert set(answered) == set(logged)


def test_a_rotated_secret_of_a_resource_server_fails_at_once_in_all_processes(scene: Scene) -> None:
    gate, developer = scene.gate, scene.developer
    body = {"name": "Mail", "identifier": "https://mail.example", "scopes": ["email:read"]}
    server = expect(201, gate.post("/resource-servers", body, **developer.headers))
    asked = {"token": scene.tokens[0], "requiredScopes": ["email:read"]}
    responded: list[float] = []

    def act(number: int) -> list[tuple[float, int]]:
        """In thread 0, rotate the secret. In the others, return when each verify began, and its status."""
        if number == 0:
            time.sleep(0.2)
            path = f"/resource-servers/{server['id']}/rotate-secret"
            expect(200, gate.post(path, {"overlapSeconds": 0}, **developer.headers))
            responded.append(time.monotonic())
            return []
        seen = []
        while not responded or len([began for began, _ in seen if began > responded[0]]) < 5:
            began = time.monotonic()
            auth = (server["id"], server["secret"])
            answer = httpx.post(
                f"{scene.server.url}/api/v1/tokens/verify", json=asked, auth=auth, timeout=20, verify=TLS
            )
            seen.append((began, answer.status_code))
        return seen

    seen = [each for thread in race(7, act) for each in thread]
    assert {status for began, status in seen if began > responded[0]} <= {401, 429}
    assert 200 in {status for began, status in seen if began < responded[0]}
