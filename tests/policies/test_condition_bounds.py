"""Conditions are bounded per call: all rules share what is read of its values, and one budget."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.engine import CompiledPolicy, Outcome, compile_policy, evaluate, trace
from policies.rules import RuleContext
from policies.rules.budget import PER_CALL, Budget
from policies.rules.readings import Reading, folded, shape_of
from tests.shared import cases

NOW = datetime(2026, 3, 23, tzinfo=UTC)
LIGATURES = "\ufdfa" * 5400  # 16 KiB, which NFKC makes 18 times as many characters
MARKS = "a" + "\u0316\u0300\u0315" * 2600  # which some releases of Python sort in quadratic time
CYRILLIC = "\u0436" * 8000


def policy_of(*conditions: dict[str, Any], rules: int = 1) -> CompiledPolicy:
    """Return a policy whose rules differ, so that each is evaluated."""
    extra = [{"field": f"absent{number}", "operator": "exists", "value": False} for number in range(rules)]
    raw = [{"type": "context_match", "config": {"conditions": [*conditions, each]}} for each in extra]
    return compile_policy("pol_1", "x", raw)


def condition(operator: str, **operand: Any) -> dict[str, Any]:
    return {"field": "a", "operator": operator, **operand}


def call(value: Any) -> RuleContext:
    return RuleContext(now=NOW, agent_id="agt_1", context={"a": value}, budget=Budget())


def denial_of(policy: CompiledPolicy, context: RuleContext) -> str | None:
    denial = evaluate([policy], context).denied_by
    return denial.detail if denial else None


@pytest.fixture
def normalized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The long texts that were normalized."""
    texts: list[str] = []
    normalize = unicodedata.normalize

    def record(form: Any, text: str) -> str:
        if len(text) > 100:
            texts.append(text)
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", record)
    return texts


@cases("operator", ["not_equals", "starts_with", "glob"])
@cases("text", [LIGATURES, MARKS])
def test_what_would_take_long_to_normalize_denies_without_being_normalized(
    normalized: list[str], text: str, operator: str
) -> None:
    policy = policy_of(*[condition(operator, value="*" if operator == "glob" else text[0])] * 19, rules=20)
    assert denial_of(policy, call(text)) == f"a does not meet {operator}."
    assert normalized == []


@pytest.mark.parametrize("value", [CYRILLIC[:2000], "\uff41" * 2000, "\ufdfa" * 500, "\u1ec7\u0301" * 500])
def test_a_text_is_normalized_once_for_all_rules(normalized: list[str], value: str) -> None:
    both = (condition("not_equals", value="b"), condition("starts_with", value=value[0]))
    assert denial_of(policy_of(*both * 9, rules=20), call(value)) is None
    assert len(normalized) <= 2  # the text, and its folded form


def test_all_rules_of_a_call_share_its_budget() -> None:
    slow = condition("glob", value="*" + "a" * 20)
    assert denial_of(policy_of(slow), call("a" * 16_000)) is None
    assert denial_of(policy_of(slow, rules=20), call("a" * 16_000)) == "a does not meet glob."


def test_elements_are_charged_to_the_budget() -> None:
    many = condition("at_least", value=1)
    assert denial_of(policy_of(*[many] * 10), call([1] * 200)) is None
    assert denial_of(policy_of(*[many] * 19, rules=20), call([1] * 200)) == "a does not meet at_least."


def test_equal_rules_cost_once_also_in_a_trace() -> None:
    context, policy = call("a" * 16_000), policy_of(condition("glob", value="*" + "a" * 20))
    assert denial_of(policy, context) is None
    assert context.budget
    left = context.budget.left
    assert 0 < left < PER_CALL
    assert [each.outcome for each in trace([policy, policy], context)] == [Outcome.PASSED] * 2
    assert context.budget.left == left


@cases("text", ["a" * 16_000, CYRILLIC, "\uff41" * 5000])
def test_usual_long_texts_fit_into_the_budget(text: str) -> None:
    values = {"not_equals": "b", "starts_with": text[0], "ends_with": text[0], "glob": f"{text[0]}*"}
    policy = policy_of(*[condition(operator, value=value) for operator, value in values.items()])
    assert denial_of(policy, call(text)) is None


@given(st.text(max_size=40))
def test_readings_agree_with_what_is_read_without_a_budget(text: str) -> None:
    reading, budget = Reading(text), Budget()
    if reading.text(budget) is not None:
        assert reading.folded(budget) == folded(text)
        assert reading.shape(budget) == shape_of(text)
