"""A policy as text in Cedar, to read it beside others. Rules that Cedar cannot express are comments."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core.text import plain_text
from policies.rules import Rule, find_rule, sentence_of
from policies.rules.action_allowlist import ActionAllowlist
from policies.rules.action_blocklist import ActionBlocklist
from policies.rules.cedar import Cedar
from policies.rules.ip_allowlist import IpAllowlist

PERMIT = "permit (principal, action, resource);"


def as_cedar(raw_rules: Sequence[Mapping[str, Any]]) -> str:
    """Return the rules as statements in Cedar. What no rule denies is permitted, unless a rule in Cedar permits it.

    Two rules in Cedar must both permit, which their statements together would not express.
    """
    rules = [find_rule(raw) for raw in raw_rules]
    own = [rule for rule in rules if statement_of(rule) is not None and isinstance(rule, Cedar)]
    statements = [_statement(rule, is_comment=len(own) > 1 and isinstance(rule, Cedar)) for rule in rules]
    return "\n\n".join(statements if len(own) == 1 else [*statements, PERMIT])


def statement_of(rule: Rule | None) -> str | None:
    """Return the rule in Cedar, or None if Cedar cannot express it: it has no counters, days or time zones."""
    if rule is None:  # An unreadable rule denies.
        return _forbid()
    if isinstance(rule, ActionAllowlist):
        return _forbid(unless=_any_of(rule.actions))
    if isinstance(rule, ActionBlocklist):
        return _forbid(when=_any_of(rule.actions))
    if isinstance(rule, IpAllowlist):
        ranges = " || ".join(f"context.ip.isInRange(ip({_quoted(str(network))}))" for network in rule.networks)
        allowed = " && ".join(("context has ip", f"({ranges})")) if ranges else "false"
        return _forbid(when=_any_of(rule.actions) if rule.actions else "", unless=allowed)
    return rule.policy.strip() if isinstance(rule, Cedar) and not rule.actions else None


def _statement(rule: Rule | None, *, is_comment: bool) -> str:
    sentence = plain_text(sentence_of(rule))
    statement = statement_of(rule)
    if statement is None or is_comment:
        return "// " + _("Not expressible in Cedar: %(rule)s.") % {"rule": sentence}
    return statement if isinstance(rule, Cedar) else f"// {sentence}.\n{statement}"


def _forbid(*, when: str = "", unless: str = "") -> str:
    conditions = [f"{word} {{ {text} }}" for word, text in (("when", when), ("unless", unless)) if text]
    return "\n".join(["forbid (principal, action, resource)", *conditions]) + ";"


def _any_of(actions: Iterable[str]) -> str:
    """Return a condition on the action. Each scope and the action of a request is decided on its own."""
    compared = (f"context.action {'like' if name.endswith('*') else '=='} {_quoted(name)}" for name in actions)
    return " || ".join(compared) or "false"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
