"""Scopes that policies refuse in every request, so that granting them has no effect."""

from collections.abc import Iterable
from typing import Any

from core import clock
from policies.models import Policy
from policies.rules import Rule, RuleContext, find_rule


def refused_scopes(policies: Iterable[Policy], scopes: Iterable[str]) -> dict[str, Policy]:
    """Return those of the scopes that can never be used, each with the first policy that denies every request for it.

    `policies` are those in force for the agent (`policies_in_force`). A rule whose answer depends on more than what is
    asked, such as the time or an amount, refuses no scope.
    """
    found: dict[str, Policy] = {}
    listed = list(scopes)
    for policy in policies:
        rules = _rules(policy.rules)
        found |= {
            scope: policy
            for scope in listed
            if scope not in found and any(_always_denies(rule, scope) for rule in rules)
        }
    return found


def _rules(raw: Any) -> list[Rule | None]:
    return [find_rule(item) for item in (raw if isinstance(raw, list) else [raw])]


def _always_denies(rule: Rule | None, scope: str) -> bool:
    """Return whether the rule denies any request for the scope. None, which cannot be read, denies everything."""
    if rule is None:
        return True
    return rule.lists_actions and rule.check(RuleContext(clock.now(), agent_id="", scopes=(scope,))) is not None
