"""Bounds of an organization's policies, through the API: what may be enabled, what a call may count, and writes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from limits import counting
from policies import quotas
from tests.api.conftest import Api, Json, expect, new_agent, problem, tokens_for, verify
from tests.log import log_entries


def limits(number: int, first: int = 60) -> list[Json]:
    """Return limits with different counters."""
    config = {"maxRequests": 1000, "scope": "per_user"}
    return [{"type": "rate_limit", "config": {**config, "windowSeconds": first + each}} for each in range(number)]


def policy(developer: Api, rules: list[Json], **fields: Any) -> Json:
    return expect(201, developer.post("/policies", {"name": "x", "rules": rules, **fields}))


def allowed(tokens: Sequence[str], *, reserve: bool = False, **headers: str) -> list[bool]:
    """Return whether each question of a batch is allowed."""
    context = {"amount": {"value": "1", "currency": "EUR"}}
    asked = {"requiredScopes": ["email:read"], "context": context, "reserve": reserve}
    requests = [{"token": token, **asked} for token in tokens]
    answer = expect(200, Api().post("/tokens/verify/batch", {"requests": requests}, **headers))
    return [decision["allowed"] for decision in answer["decisions"]]


def refused(answer: Any, field: str, text: str) -> None:
    """Check that the error names the field, and what to do."""
    (error,) = problem(answer, 400, "validation_failed", field)["errors"]
    assert text in error["message"]


BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
GUARD = {"type": "data_flow", "config": {"windowSeconds": 60, "then": "deny"}}


class TestWhatIsEnabled:
    def test_the_policies_of_an_organization_are_bounded(
        self, developer: Api, rival: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quotas, "MAX_POLICIES", 2)
        for _ in range(2):
            policy(developer, [])
        refused(developer.post("/policies", {"name": "x", "rules": []}), "rules", "at most 2 enabled policies. Disable")
        off = policy(developer, [], enabled=False)
        refused(developer.patch(f"/policies/{off['id']}", {"enabled": True}), "enabled", "at most 2 enabled")
        policy(rival, [])

    def test_so_are_their_rules_in_bytes(self, developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quotas, "MAX_BYTES", 150)
        kept = policy(developer, [BLOCK])
        refused(developer.post("/policies", {"name": "x", "rules": [BLOCK] * 2}), "rules", "Shorten them")
        expect(200, developer.patch(f"/policies/{kept['id']}", {"rules": [BLOCK] * 2}))

    @pytest.mark.parametrize(
        ("bound", "rules", "text"),
        [
            ("MAX_RULES", [BLOCK] * 2, "At most 3 rules"),
            ("MAX_LIMITS", [*limits(1), GUARD], "At most 3 limits and data flow guards"),
        ],
    )
    def test_so_is_what_applies_to_the_calls_of_one_agent(
        self, developer: Api, agent: Json, monkeypatch: pytest.MonkeyPatch, bound: str, rules: list[Json], text: str
    ) -> None:
        monkeypatch.setattr(quotas, bound, 3)
        other = new_agent(developer, name="Other")
        own, elsewhere = policy(developer, rules, agentId=agent["id"]), policy(developer, rules, agentId=other["id"])
        shared = {"name": "x", "rules": rules}
        refused(developer.post("/policies", shared), "rules", text)
        refused(developer.patch(f"/policies/{own['id']}", {"rules": rules * 2}), "rules", text)
        refused(developer.patch(f"/policies/{own['id']}", {"agentId": other["id"]}), "agentId", text)
        refused(developer.post("/policies", {**shared, "mode": "shadow", "agentId": agent["id"]}), "rules", text)
        policy(developer, rules[:1])
        expect(204, developer.delete(f"/policies/{elsewhere['id']}"))


class TestWhatACallCounts:
    def test_more_counters_than_a_call_may_need_deny(
        self, developer: Api, tokens: Json, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("decisions.judgement.MAX_PER_CALL", 3)
        policy(developer, limits(3), name="First")
        assert verify(tokens["accessToken"])["allowed"] is True
        second = policy(developer, limits(2, first=600), name="Second")
        denied = verify(tokens["accessToken"])
        assert denied["reason"] == "policy_denied"
        assert denied["policy"] == {"id": second["id"], "name": "Second", "ruleType": "rate_limit"}
        assert "retryAfterSeconds" not in denied

    def test_more_counters_than_a_batch_may_need_deny_the_rest(
        self, developer: Api, agent: Json, ada: Api, bob: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.inquiries.MAX_PER_REQUEST", 5)
        policy(developer, limits(3))
        asked = [tokens_for(agent, person)["accessToken"] for person in (ada, ada, bob, ada)]

        assert allowed(asked) == [True, True, False, True], "each person's limits have counters of their own"
        assert allowed(asked, reserve=True, Idempotency_Key="1") == [True, True, False, True]
        assert all(verify(token)["allowed"] for token in asked)

    def test_a_shadow_policy_denies_nothing_for_lack_of_room(
        self, developer: Api, tokens: Json, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("decisions.judgement.MAX_PER_CALL", 3)
        policy(developer, limits(3, first=600), mode="shadow")
        policy(developer, limits(3))
        assert verify(tokens["accessToken"])["allowed"] is True

    def test_the_shadow_policies_of_a_batch_are_limited(
        self, developer: Api, tokens: Json, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("api.inquiries.MAX_PER_REQUEST", 5)
        block = {"type": "action_blocklist", "config": {"actions": ["email:read"]}}
        for _ in range(2):
            policy(developer, [block], mode="shadow")
        asked = [tokens["accessToken"]] * 4
        assert all(allowed(asked))
        assert log_entries(event="policy.shadowed").count() == 5
        verify(tokens["accessToken"])
        assert log_entries(event="policy.shadowed").count() == 5 + 2

    def test_the_bounds_leave_room_for_two_organizations_and_a_user(self) -> None:
        assert counting.MAX_PER_CALL >= 3 * quotas.MAX_LIMITS


def test_writes_are_throttled_at_each_door(developer: Api, rival: Api, settings: Any, subtests: Any) -> None:
    settings.THROTTLE_POLICIES = "1/hour"
    kept = policy(developer, [])
    path = f"/policies/{kept['id']}"
    doors: Mapping[str, Callable[[], Any]] = {
        "create": lambda: developer.post("/policies", {"name": "x", "rules": []}),
        "repeat": lambda: developer.post("/policies", {"name": "x", "rules": []}, Idempotency_Key="1"),
        "change": lambda: developer.patch(path, {"name": "y"}),
        "delete": lambda: developer.delete(path),
    }
    for name, door in doors.items():
        with subtests.test(name):
            refusal = door()
            problem(refusal, 429, "throttled")
            assert int(refusal.headers["Retry-After"]) > 3000
    expect(200, developer.get(path))
    policy(rival, [])
