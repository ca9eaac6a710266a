"""What a call costs in rules with long lists is bounded, and a call that does not fit is denied."""

from datetime import UTC, datetime
from typing import Any

from policies.engine import TOO_COSTLY, compile_policy, evaluate, trace
from policies.rules import RuleContext
from policies.rules.budget import PER_CALL, Budget
from tests.shared import cases

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PREFIXES = [f"notes:{'x' * 80}{number}*" for number in range(199)] + ["notes:*"]
MANY_SCOPES = tuple(f"notes:{'y' * 80}{number}" for number in range(100))
RANGES = [f"10.{number}.0.0/16" for number in range(199)] + ["203.0.113.0/24"]
RULES = {
    "action_allowlist": {"actions": PREFIXES},
    "action_blocklist": {"actions": PREFIXES[:-1]},
    "rate_limit": {"maxRequests": 1, "windowSeconds": 1, "scope": "global", "actions": PREFIXES[:-1]},
}


def asking(scopes: tuple[str, ...]) -> RuleContext:
    return RuleContext(now=NOW, agent_id="agt_1", scopes=scopes, ip="203.0.113.7", budget=Budget())


def times(number: int, rule: str) -> Any:
    return compile_policy("pol_1", "x", [{"type": rule, "config": RULES[rule]}] * number)


@cases("rule", RULES)
def test_a_call_with_many_long_lists_is_denied_once_they_take_too_long(rule: str) -> None:
    assert evaluate([times(8, rule)], asking(MANY_SCOPES)).denied_by is None
    denial = evaluate([times(30, rule)], asking(MANY_SCOPES)).denied_by
    assert denial is not None
    assert denial.detail == TOO_COSTLY.detail


@cases("rule", ["action_allowlist", "action_blocklist", "rate_limit"])
def test_a_usual_call_may_have_a_hundred_of_them(rule: str) -> None:
    assert evaluate([times(100, rule)], asking(("notes:read", "notes:write"))).denied_by is None


def test_a_hundred_long_lists_of_addresses_cost_little_because_they_are_sorted() -> None:
    policy = compile_policy("pol_1", "x", [{"type": "ip_allowlist", "config": {"cidrs": RANGES}}] * 100)
    call = asking(MANY_SCOPES)
    assert evaluate([policy], call).denied_by is None
    assert evaluate([policy], call._replace(ip="203.0.114.7")).denied_by is not None
    assert call.budget is not None
    assert call.budget.left == PER_CALL


def test_a_trace_denies_what_the_decision_denied() -> None:
    policy, call = times(30, "action_allowlist"), asking(MANY_SCOPES)
    assert evaluate([policy], call).denied_by is not None
    assert trace([policy], call)[-1].detail == TOO_COSTLY.detail


def test_a_trace_pays_for_no_rule_twice() -> None:
    policy, call = times(8, "action_allowlist"), asking(MANY_SCOPES)
    assert evaluate([policy], call).denied_by is None
    assert {each.outcome for each in trace([policy], call)} == {"passed"}
