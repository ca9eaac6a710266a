import logging
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limits.sliding_window import CounterRequest
from policies.engine import CompiledPolicy, CompiledRule, compile_policy, evaluate
from policies.rules import Denial, RuleContext

CONTEXT = RuleContext(
    now=datetime(2026, 3, 23, 12, tzinfo=UTC), agent_id="agt_1", user_id="usr_1", scopes=("email:read",)
)
LIMIT = {"type": "rate_limit", "config": {"maxRequests": 10, "windowSeconds": 60, "scope": "global"}}
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:*"]}}
PASS = {"type": "action_blocklist", "config": {"actions": []}}


def rule(answer: Any = None, counters: Any = ()) -> CompiledRule:
    """Return a rule that returns these values, or raises those that are exceptions."""

    def give(value: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    return CompiledRule("made_up", 0, lambda ctx: give(answer), lambda ctx: give(counters))


def test_the_denial_names_policy_and_rule() -> None:
    policies = [compile_policy("pol_1", "First", [PASS]), compile_policy("pol_2", "Second", [PASS, BLOCK])]

    denial = evaluate(policies, CONTEXT).denied_by

    assert denial
    assert (denial.policy_id, denial.policy_name) == ("pol_2", "Second")
    assert (denial.rule_type, denial.rule_index) == ("action_blocklist", 1)


def test_the_first_of_several_denials_is_reported() -> None:
    policies = [
        compile_policy("pol_1", "First", [PASS, BLOCK, BLOCK]),
        compile_policy("pol_2", "Second", [BLOCK]),
    ]

    denial = evaluate(policies, CONTEXT).denied_by

    assert denial
    assert (denial.policy_id, denial.rule_index) == ("pol_1", 1)


def test_without_policies_nothing_is_denied_or_counted() -> None:
    evaluation = evaluate([], CONTEXT)

    assert evaluation.denied_by is None
    assert evaluation.counter_requests == ()


def test_a_denied_request_counts_nothing() -> None:
    assert evaluate([compile_policy("pol_1", "Name", [LIMIT, BLOCK])], CONTEXT).counter_requests == ()


def test_an_exceeded_limit_is_a_denial_by_its_rule() -> None:
    evaluation = evaluate([compile_policy("pol_1", "Name", [PASS, LIMIT])], CONTEXT)

    denial = evaluation.limits[0].denial(retry_after_seconds=7)

    assert (denial.policy_id, denial.rule_type, denial.rule_index) == ("pol_1", "rate_limit", 1)
    assert denial.retry_after_seconds == 7


def test_limits_of_several_policies_keep_their_order_and_have_different_keys() -> None:
    evaluation = evaluate([compile_policy(name, name, [LIMIT]) for name in ("pol_2", "pol_1")], CONTEXT)

    assert [limit.policy.id for limit in evaluation.limits] == ["pol_2", "pol_1"]
    assert len({request.key for request in evaluation.counter_requests}) == 2


@pytest.mark.parametrize(
    "broken",
    [
        rule(ValueError("boom")),
        rule(RecursionError()),
        rule(answer=False),
        rule(answer=True),
        rule(answer="no"),
        rule(counters=KeyError("boom")),
        rule(counters=None),
        rule(counters=ValueError("key too long")),
    ],
)
def test_any_error_in_a_rule_denies_and_is_logged(broken: CompiledRule, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        denial = evaluate([CompiledPolicy("pol_1", "Name", (broken,))], CONTEXT).denied_by

    assert denial
    assert denial.rule_type == "made_up"
    assert "pol_1" in caplog.text


@pytest.mark.parametrize("raw", [None, 1, "rules", {"type": "rate_limit"}, [None], [[]], [{}], [{"type": 1}]])
def test_invalid_rules_deny_and_are_logged(raw: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        policy = compile_policy("pol_1", "Name", raw)

    assert evaluate([policy], CONTEXT).denied_by
    assert "pol_1" in caplog.text


def test_an_unknown_rule_denies_under_its_stored_type() -> None:
    policy = compile_policy("pol_1", "Name", [PASS, {"type": "moon_phase", "config": {}}])

    denial = evaluate([policy], CONTEXT).denied_by

    assert denial
    assert (denial.rule_type, denial.rule_index) == ("moon_phase", 1)


def test_a_request_without_an_address_is_denied_only_by_address_rules() -> None:
    allowlist = {"type": "ip_allowlist", "config": {"cidrs": ["0.0.0.0/0", "::/0"]}}

    assert evaluate([compile_policy("pol_1", "Name", [allowlist])], CONTEXT).denied_by
    assert not evaluate([compile_policy("pol_1", "Name", [PASS])], CONTEXT).denied_by


actions = st.lists(st.sampled_from(["email:read", "email:*", "payments:*", "*"]), max_size=3)
raw_rules = st.one_of(
    st.builds(lambda a: {"type": "action_allowlist", "config": {"actions": a}}, actions),
    st.builds(lambda a: {"type": "action_blocklist", "config": {"actions": a}}, actions),
    st.builds(
        lambda days: {
            "type": "time_window",
            "config": {"allowedDays": days, "startTimeUtc": "09:00", "endTimeUtc": "17:00"},
        },
        st.lists(st.integers(0, 7), min_size=1, max_size=3),
    ),
    st.builds(
        lambda limit: {
            "type": "rate_limit",
            "config": {"maxRequests": limit, "windowSeconds": 60, "scope": "global"},
        },
        st.integers(1, 3),
    ),
    st.just({"type": "moon_phase"}),
)


@given(st.lists(raw_rules, max_size=4), st.sampled_from([("email:read",), ("payments:charge", "email:read")]))
def test_the_order_of_rules_changes_neither_the_decision_nor_the_counters(
    rules: list[Any], scopes: tuple[str, ...]
) -> None:
    ctx = RuleContext(now=CONTEXT.now, agent_id="agt_1", scopes=scopes)
    evaluations = [evaluate([compile_policy("pol_1", "Name", list(order))], ctx) for order in permutations(rules)]

    assert len({evaluation.denied_by is None for evaluation in evaluations}) == 1
    assert len({tuple(sorted(map(repr, each.counter_requests))) for each in evaluations}) == 1


def test_a_denial_has_the_time_to_wait() -> None:
    denial = evaluate([CompiledPolicy("pol_1", "Name", (rule(Denial("later", 5)),))], CONTEXT).denied_by

    assert denial
    assert (denial.detail, denial.retry_after_seconds) == ("later", 5)


def test_the_counters_of_a_rule_are_returned() -> None:
    wanted = (CounterRequest("a", 1, 1), CounterRequest("b", 2, 2))

    evaluation = evaluate([CompiledPolicy("pol_1", "Name", (rule(counters=wanted), rule()))], CONTEXT)

    assert evaluation.counter_requests == wanted
