"""Which terms are refused, and that what is refused takes little work."""

from typing import Any

import pytest

from consent import terms
from consent.terms import GivenTerms, Terms, settle_terms
from core.errors import Invalid
from core.validation import MAX_ERRORS
from policies.rules import Rule
from policies.rules.parsing import parse_rule

SCOPES = [f"email:s{number}" for number in range(20)]
WRONG = {"type": "ip_allowlist", "config": {"cidrs": [1] * 30}}


def test_limits_are_read_until_as_many_errors_are_found_as_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def parse(raw: Any, path: str) -> Rule:
        read.append(path)
        return parse_rule(raw, path)

    monkeypatch.setattr(terms, "parse_rule", parse)
    given = GivenTerms(limits={scope: [WRONG] * 5 for scope in SCOPES})
    with pytest.raises(Invalid) as caught:
        settle_terms(earlier=Terms(), given=given, granted=SCOPES)
    assert len(caught.value.errors) == MAX_ERRORS
    assert read == ["limits.email:s0.0"]
