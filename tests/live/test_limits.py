"""Limits hold over all processes together and in every window."""

import time
from collections import Counter

import pytest

from tests.live.gate import Gate, expect, race


def test_a_limit_allows_exactly_20_of_32_parallel_requests_to_four_processes(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    policy = gate.policy(developer, "rate_limit", maxRequests=20, windowSeconds=3600, scope="per_agent")
    token = gate.tokens(agent, person)["accessToken"]

    decisions = race(32, lambda _: gate.verify(token))

    assert Counter(decision["allowed"] for decision in decisions) == {True: 20, False: 12}
    denied = next(decision for decision in decisions if not decision["allowed"])
    assert denied["reason"] == "policy_denied"
    assert (denied["policy"]["id"], denied["policy"]["ruleType"]) == (policy, "rate_limit")
    assert 0 < denied["retryAfterSeconds"] <= 3600 * 65 / 64 + 1


def test_two_limits_of_a_request_count_together_or_not_at_all(gate: Gate) -> None:
    developer = gate.developer()
    agent = gate.agent(developer)
    gate.policy(developer, "rate_limit", maxRequests=10, windowSeconds=3600, scope="per_user")
    gate.policy(developer, "rate_limit", maxRequests=15, windowSeconds=3600, scope="global")
    tokens = [gate.tokens(agent, gate.person())["accessToken"] for _ in range(2)]

    decisions = race(32, lambda number: (number % 2, gate.verify(tokens[number % 2])["allowed"]))

    allowed = Counter(who for who, was_allowed in decisions if was_allowed)
    assert sum(allowed.values()) == 15
    assert max(allowed.values()) <= 10


def test_a_limit_applies_within_a_batch(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    gate.policy(developer, "rate_limit", maxRequests=3, windowSeconds=3600, scope="global")
    token = gate.tokens(agent, person)["accessToken"]
    request = {"token": token, "requiredScopes": ["email:read"]}

    answer = gate.post("/tokens/verify/batch", {"requests": [request] * 5})
    allowed = [decision["allowed"] for decision in expect(200, answer)["decisions"]]
    assert allowed == [True, True, True, False, False]


def test_editing_a_limit_during_requests_grants_no_new_quota(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    policy = gate.policy(developer, "rate_limit", maxRequests=20, windowSeconds=3600, scope="per_user")
    token = gate.tokens(agent, person)["accessToken"]
    edits = [(7200, "per_user"), (7200, "global"), (1800, "per_agent"), (3600, "per_user")]

    def act(number: int) -> int:
        """In thread 0, edit the limit repeatedly. In the others, return how many calls were allowed."""
        if number:
            return sum(gate.verify(token)["allowed"] for _ in range(12))
        for window, scope in edits * 2:
            config = {"maxRequests": 20, "windowSeconds": window, "scope": scope}
            body = {"rules": [{"type": "rate_limit", "config": config}]}
            expect(200, gate.call("PATCH", f"/policies/{policy}", body, **developer.headers))
        return 0

    assert sum(race(9, act)) == 20


@pytest.mark.soak
def test_no_window_contains_more_requests_than_the_limit(gate: Gate) -> None:
    developer, person = gate.developer(), gate.person()
    agent = gate.agent(developer)
    gate.policy(developer, "rate_limit", maxRequests=20, windowSeconds=2, scope="per_agent")
    token = gate.tokens(agent, person)["accessToken"]
    ends = time.monotonic() + 30

    def hammer(_: int) -> list[tuple[float, float]]:
        """Return the start and the end of each allowed call."""
        passed = []
        while time.monotonic() < ends:
            began = time.monotonic()
            if gate.verify(token)["allowed"]:
                passed.append((began, time.monotonic()))
        return passed

    spans = sorted(span for each in race(16, hammer) for span in each)
    assert len(spans) > 100
    for index in range(len(spans) - 20):
        # 21 calls that were certainly made within two seconds would exceed the limit.
        together = spans[index : index + 21]
        assert max(end for _, end in together) - min(start for start, _ in together) >= 2
