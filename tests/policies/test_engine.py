import logging
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
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
    """A rule that gives these answers, or raises them."""

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


def test_of_several_denials_the_first_in_order_is_named() -> None:
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


def test_a_denied_call_has_nothing_to_count() -> None:
    assert evaluate([compile_policy("pol_1", "Name", [LIMIT, BLOCK])], CONTEXT).counter_requests == ()


def test_a_limit_without_room_denies_in_the_name_of_its_rule() -> None:
    evaluation = evaluate([compile_policy("pol_1", "Name", [PASS, LIMIT])], CONTEXT)

    denial = evaluation.limits[0].denial(retry_after_seconds=7)

    assert (denial.policy_id, denial.rule_type, denial.rule_index) == ("pol_1", "rate_limit", 1)
    assert denial.retry_after_seconds == 7


def test_limits_of_several_policies_keep_their_order_and_their_keys_apart() -> None:
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
def test_whatever_goes_wrong_in_a_rule_denies_and_is_logged(
    broken: CompiledRule, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        denial = evaluate([CompiledPolicy("pol_1", "Name", (broken,))], CONTEXT).denied_by

    assert denial
    assert denial.rule_type == "made_up"
    assert "pol_1" in caplog.text


@pytest.mark.parametrize("raw", [None, 1, "rules", {"type": "rate_limit"}, [None], [[]], [{}], [{"type": 1}]])
def test_what_cannot_be_read_denies_and_is_logged(raw: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        policy = compile_policy("pol_1", "Name", raw)

    assert evaluate([policy], CONTEXT).denied_by
    assert "pol_1" in caplog.text


def test_an_unreadable_rule_is_named_by_its_type_and_spares_no_other() -> None:
    policy = compile_policy("pol_1", "Name", [PASS, {"type": "moon_phase", "config": {}}])

    denial = evaluate([policy], CONTEXT).denied_by

    assert denial
    assert (denial.rule_type, denial.rule_index) == ("moon_phase", 1)


def test_a_context_without_a_readable_address_denies_only_where_one_is_asked_for() -> None:
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


@settings(max_examples=150, deadline=None)
@given(st.lists(raw_rules, max_size=4), st.sampled_from([("email:read",), ("payments:charge", "email:read")]))
def test_the_order_of_rules_changes_neither_the_answer_nor_what_is_counted(
    rules: list[Any], scopes: tuple[str, ...]
) -> None:
    ctx = RuleContext(now=CONTEXT.now, agent_id="agt_1", scopes=scopes)
    evaluations = [evaluate([compile_policy("pol_1", "Name", list(order))], ctx) for order in permutations(rules)]

    assert len({evaluation.denied_by is None for evaluation in evaluations}) == 1
    assert len({tuple(sorted(map(repr, each.counter_requests))) for each in evaluations}) == 1


def test_a_denial_is_a_value_with_the_time_to_wait() -> None:
    denial = evaluate([CompiledPolicy("pol_1", "Name", (rule(Denial("later", 5)),))], CONTEXT).denied_by

    assert denial
    assert (denial.detail, denial.retry_after_seconds) == ("later", 5)


def test_what_a_rule_wants_counted_comes_through() -> None:
    wanted = (CounterRequest("a", 1, 1), CounterRequest("b", 2, 2))

    evaluation = evaluate([CompiledPolicy("pol_1", "Name", (rule(counters=wanted), rule()))], CONTEXT)

    assert evaluation.counter_requests == wanted
