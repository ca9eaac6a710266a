"""The rule types with the cases in `cases/`: what they allow, deny and count."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from core.chains import Link
from policies.engine import compile_policy, evaluate
from policies.rules import RULES, InvalidRules, Rule, RuleContext
from policies.rules.parsing import parse_rule
from tests.shared import cases

CASES = Path(__file__).parent / "cases"
EXPECTATIONS = ("title", "denied_by", "retry_after", "counters")
DEFAULTS: dict[str, Any] = {
    "now": "2026-03-23T12:00:00Z",
    "scopes": ["email:read"],
    "agent_id": "agt_1",
    "user_id": "usr_1",
}


# The loader in C is ten times faster, and each process that collects the tests reads the files.
FILES = {path.stem: yaml.load(path.read_text(), yaml.CSafeLoader) for path in sorted(CASES.glob("*.yaml"))}


def read_cases() -> Iterator[tuple[list[Any], dict[str, Any]]]:
    for found in FILES.values():
        for case in found:
            for call in case["calls"]:
                yield case["rules"], call


def read_rules() -> Iterator[Rule]:
    """Yield the valid rules of all cases."""
    for case in (case for found in FILES.values() for case in found):
        for raw in case["rules"]:
            with suppress(InvalidRules):
                yield parse_rule(raw)


ONE_OF_EACH = list({rule.type: rule for rule in read_rules()}.values())


def context_of(call: dict[str, Any]) -> RuleContext:
    facts = DEFAULTS | {key: value for key, value in call.items() if key not in EXPECTATIONS}
    facts["now"] = datetime.fromisoformat(facts["now"]).astimezone(UTC)
    facts["scopes"] = tuple(facts["scopes"])
    facts["chain"] = tuple(Link(*link) for link in facts.get("chain", ()))
    return RuleContext(**facts)


@cases(("rules", "call"), list(read_cases()))
def test_case(rules: list[Any], call: dict[str, Any]) -> None:
    evaluation = evaluate([compile_policy("pol_1", "A policy", rules)], context_of(call))

    assert (evaluation.denied_by and evaluation.denied_by.rule_type) == call.get("denied_by")
    if "retry_after" in call:
        assert evaluation.denied_by
        assert evaluation.denied_by.retry_after_seconds == call["retry_after"]
    if "counters" in call:
        assert [request.key for request in evaluation.counter_requests] == call["counters"]


def test_every_rule_type_has_cases() -> None:
    assert {rule.type for rule in ONE_OF_EACH} == set(RULES)
