import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import policies.rules
from policies.rules import RULES, DuplicateRuleTypeError, Rule, RuleContext, parse_rules, register

NEW_TYPE = """
from policies.rules.base import Denial, Rule, RuleContext, register


@register("coin_toss", title="Coin toss")
class CoinToss(Rule):
    heads: bool

    def check(self, ctx: RuleContext) -> Denial | None:
        return None if self.heads else Denial("Tails.")

    def in_words(self) -> str:
        return "Only heads"
"""


def test_a_rule_type_is_added_by_adding_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "coin_toss.py").write_text(NEW_TYPE)
    monkeypatch.setattr(policies.rules, "__path__", [*policies.rules.__path__, str(tmp_path)])
    try:
        policies.rules.import_rule_types()
        (rule,) = parse_rules([{"type": "coin_toss", "config": {"heads": False}}])
        denial = rule.check(RuleContext(now=datetime(2026, 1, 1, tzinfo=UTC), agent_id="agt_1"))
    finally:
        RULES.pop("coin_toss", None)
        sys.modules.pop("policies.rules.coin_toss", None)

    assert denial
    assert denial.detail == "Tails."


def test_two_types_with_the_same_name_are_an_error() -> None:
    class Second(Rule):
        def check(self, ctx: RuleContext) -> None:
            return None

        def in_words(self) -> str:
            return ""

    with pytest.raises(DuplicateRuleTypeError, match="rate_limit"):
        register("rate_limit", title="Second")(Second)
