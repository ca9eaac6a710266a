"""Cedar is bounded per call and per organization: what does not fit denies, or is refused when it is saved."""

import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from core.actor import SYSTEM
from developers.models import Developer, Organization
from policies.engine import CompiledPolicy, Outcome, compile_policy, evaluate, trace
from policies.models import Policy
from policies.rules import InvalidRules, RuleContext
from policies.rules.budget import PER_CALL, Budget
from policies.services import create_policy, update_policy
from tests.shared import cases
from tests.threads import race

NOW = datetime(2026, 3, 23, 12, tzinfo=UTC)
PERMIT = "permit (principal, action, resource);"
SLOW = PERMIT + 'forbid (principal, action, resource) when { context.request.t like "*' + "a" * 200 + 'b*" };'
LONG = {"t": "a" * 15_500}
TOO_SLOW = "The Cedar policies take too long for this request: it has too many scopes, values or long texts."


def cedar(text: str = PERMIT) -> dict[str, Any]:
    return {"type": "cedar", "config": {"policy": text}}


def policies(number: int, text: str) -> list[CompiledPolicy]:
    """Return policies whose texts differ, so that each is evaluated."""
    return [compile_policy(f"pol_{each}", "x", [cedar(f"{text} // {each}")]) for each in range(number)]


def call(context: dict[str, Any], scopes: tuple[str, ...] = ("email:read",)) -> RuleContext:
    return RuleContext(now=NOW, agent_id="agt_1", scopes=scopes, context=context, budget=Budget())


@cases(
    ("text", "context", "scopes"),
    [
        (SLOW, LONG, 1),
        (PERMIT[:-1] + " when { [" + ",".join(["context"] * 450) + "].contains(1) };", {"t": [{"a": 1}] * 240}, 1),
        (PERMIT, {}, 100),
        (PERMIT, {"t": [[[[1]]]] * 100}, 1),
    ],
)
def test_a_call_that_would_take_too_long_is_denied_soon(text: str, context: dict[str, Any], scopes: int) -> None:
    many = policies(20, text)
    asked = tuple(f"email:s{number}" for number in range(scopes))
    evaluate(many, call({}))
    start = time.process_time()
    denial = evaluate(many, call(context, asked)).denied_by
    assert denial is not None
    assert denial.detail == TOO_SLOW
    assert time.process_time() - start < 0.1


def test_the_same_rules_cost_once_also_in_a_trace() -> None:
    context = call({})
    same = compile_policy("pol_1", "x", [cedar(), cedar()])
    assert evaluate([same], context).denied_by is None
    assert context.budget
    left = context.budget.left
    assert 0 < left < PER_CALL
    assert [each.outcome for each in trace([same], context)] == [Outcome.PASSED] * 2
    assert context.budget.left == left


def test_the_rules_of_a_call_share_its_budget() -> None:
    few, many = policies(5, PERMIT), policies(40, PERMIT)
    assert evaluate(few, call({})).denied_by is None
    denial = evaluate(many, call({})).denied_by
    assert denial is not None
    assert denial.detail == TOO_SLOW


def test_once_a_rule_does_not_fit_none_does() -> None:
    context = call(LONG)
    found = trace([*policies(1, SLOW), compile_policy("pol_2", "x", [cedar()])], context)
    assert [each.detail for each in found] == [TOO_SLOW, TOO_SLOW]


def add(organization: Organization, **fields: Any) -> Policy:
    return create_policy(actor=SYSTEM, organization=organization, name="x", **{"rules": [cedar()], **fields})


@pytest.mark.django_db(transaction=True)
def test_policies_that_are_saved_at_once_share_the_room(developer: Developer) -> None:
    organization = developer.organization
    for _ in range(4):
        add(organization, rules=[cedar()] * 2)
    off = add(organization, enabled=False)
    enable = partial(update_policy, actor=SYSTEM, policy=off, changes={"enabled": True})
    outcomes = race([partial(add, organization), enable, partial(add, organization), partial(add, organization)])
    assert sum(isinstance(outcome, InvalidRules) for outcome in outcomes) == 2
    assert sum(len(policy.rules) for policy in Policy.objects.filter(enabled=True)) == 10
