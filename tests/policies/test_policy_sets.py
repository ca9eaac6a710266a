import json
import logging
from typing import Any

import pytest

from policies.engine import CompiledPolicy, evaluate
from policies.policy_sets import NO_POLICIES, PolicyRow, PolicySet, compile_policy_set
from tests.policies.test_engine import BLOCK, CONTEXT, LIMIT, PASS
from tests.shared import cases


def row(policy_id: str, agent_id: str | None = None, *rules: Any, **changes: str) -> PolicyRow:
    return PolicyRow(policy_id, "Name", agent_id, "enforce", json.dumps(rules or [PASS]), "{}")._replace(**changes)


def ids(policies: tuple[CompiledPolicy, ...]) -> list[str]:
    return [policy.id for policy in policies]


def test_an_agent_has_its_own_policies_and_those_for_every_agent_oldest_first() -> None:
    policy_set = compile_policy_set([row("pol_4"), row("pol_3", "agt_1"), row("pol_2", "agt_2"), row("pol_1")])
    assert ids(policy_set.for_agent("agt_1")) == ["pol_1", "pol_3", "pol_4"]
    assert ids(policy_set.for_agent("agt_2")) == ["pol_1", "pol_2", "pol_4"]
    assert ids(policy_set.for_agent("agt_3")) == ["pol_1", "pol_4"]


def test_an_agent_has_no_policies_of_others() -> None:
    policy_set = compile_policy_set([row("pol_2", "agt_1"), row("pol_1", "agt_1")])
    assert ids(policy_set.for_agent("agt_1")) == ["pol_1", "pol_2"]
    assert policy_set.for_agent("agt_2") == NO_POLICIES.for_agent("agt_1") == ()


def test_the_rules_of_the_rows_apply() -> None:
    retired = json.dumps(
        {"retired": [{"windowSeconds": 60, "scope": "global", "until": "2026-03-24T00:00:00+00:00"}], "charged": []}
    )
    policy_set = compile_policy_set(
        [row("pol_1", None, LIMIT), row("pol_2", "agt_1", BLOCK), row("pol_3", limit_history=retired)]
    )
    evaluation = evaluate(policy_set.for_agent("agt_2"), CONTEXT)
    assert [limit.policy.id for limit in evaluation.limits] == ["pol_1", "pol_3"]
    denial = evaluate(policy_set.for_agent("agt_1"), CONTEXT).denied_by
    assert denial is not None
    assert denial.policy_id == "pol_2"


def test_unchanged_policies_are_not_compiled_again() -> None:
    before = compile_policy_set([row("pol_1"), row("pol_2"), row("pol_3")])
    after = compile_policy_set([row("pol_1"), row("pol_2", None, BLOCK), row("pol_4")], previous=before)
    assert after.enforced.shared[0] is before.enforced.shared[0]
    assert evaluate(after.enforced.shared, CONTEXT).denied_by is not None
    assert evaluate(before.enforced.shared, CONTEXT).denied_by is None
    assert ids(after.enforced.shared) == ["pol_1", "pol_2", "pol_4"]


@cases(
    "change",
    [{"name": "Renamed"}, {"agent_id": "agt_1"}, {"limit_history": "[]"}],
    ids=lambda change: next(iter(change)),
)
def test_any_other_change_applies_too(change: dict[str, str]) -> None:
    before = compile_policy_set([row("pol_1")])
    after = compile_policy_set([row("pol_1", **change)], previous=before)
    assert _content(after) == _content(compile_policy_set([row("pol_1", **change)]))
    assert _content(after) != _content(before)


def _content(policy_set: PolicySet) -> Any:
    """Return what a policy_set says, without the identity of its rules."""
    return [
        [(policy.id, policy.name, evaluate([policy], CONTEXT).denied_by) for policy in policy_set.for_agent(agent)]
        for agent in ("agt_1", "agt_2")
    ]


@pytest.mark.parametrize("unreadable", ["", "[", "nul", "[" * 100_000, "null", "{}", '"[]"', "1"])
def test_rules_that_cannot_be_read_deny_and_are_logged(unreadable: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        policy_set = compile_policy_set([row("pol_1", rules=unreadable), row("pol_2")])
    denial = evaluate(policy_set.for_agent("agt_1"), CONTEXT).denied_by
    assert denial is not None
    assert denial.policy_id == "pol_1"
    assert "pol_1" in caplog.text


@pytest.mark.parametrize("unreadable", ["", "{", "[1]", '{"retired": [{}]}', '{"charged": 1}'])
def test_a_history_that_cannot_be_read_denies_and_is_logged(unreadable: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        policy_set = compile_policy_set([row("pol_1", limit_history=unreadable)])
    assert evaluate(policy_set.for_agent("agt_1"), CONTEXT).denied_by is not None
    assert "pol_1" in caplog.text


def test_rows_that_are_not_text_deny(caplog: pytest.LogCaptureFixture) -> None:
    policy_set = compile_policy_set([row("pol_1")._replace(rules=None)])  # type: ignore[arg-type]
    assert evaluate(policy_set.for_agent("agt_1"), CONTEXT).denied_by is not None
