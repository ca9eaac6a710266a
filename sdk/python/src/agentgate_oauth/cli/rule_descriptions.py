"""Describe the rules of policies: what they require, and what a denied caller can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..models import Rule

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SUBJECTS = {"per_user": "for each user", "per_agent": "for each agent", "global": "for all agents together"}

_CHANGE_POLICY = "Retrying does not help: stay within the policy, or change it."
_HELP = {
    "time_window": "Retry within the allowed hours.",
    "ip_allowlist": "Call from an allowed address. A service passes the agent's address as context.ip.",
    "spend_limit": "Retrying does not help: state an amount within the limit, in its currency.",
    "data_flow": "Retry when the earlier calls of the task are outside the window.",
}


def describe_rule(rule: Rule) -> str:
    """Return what the rule requires. Unknown types are shown as JSON."""
    describe = _DESCRIPTIONS.get(rule.type)
    try:
        described = describe(rule.config) if describe else None
    except (KeyError, IndexError, TypeError):
        described = None
    if described is None:
        return f"{rule.type} {json.dumps(dict(rule.config))}"
    return described + _concerned(rule)


def what_helps(rule_type: str | None, fits_at: datetime | None) -> str:
    """Return what a caller can do after a rule of this type denied a request.

    `fits_at` is when the allowed hours begin, or enough has left the window of a limit. Otherwise None.
    """
    if fits_at is None:
        return _HELP.get(rule_type or "", _CHANGE_POLICY)
    when = f"from {fits_at:%Y-%m-%d %H:%M:%S} UTC on"
    if rule_type == "time_window":
        return f"Retry within the allowed hours: {when}."
    smaller = ", or with a smaller amount" if rule_type == "spend_limit" else ""
    return f"Retry when earlier calls have left the window: {when}{smaller}."


def _rate_limit(config: Mapping[str, Any]) -> str:
    subject = _SUBJECTS.get(config["scope"], config["scope"])
    calls = "1 call" if config["maxRequests"] == 1 else f"{config['maxRequests']} calls"
    return f"at most {calls} in {config['windowSeconds']} seconds, {subject}"


def _time_window(config: Mapping[str, Any]) -> str:
    # 0 and 7 are both Sunday.
    days = list(dict.fromkeys(_DAYS[day] for day in sorted(config["allowedDays"])))
    on = "every day" if len(days) == 7 else f"only on {', '.join(days)}"
    hours = f"from {config['startTimeUtc']} to {config['endTimeUtc']}"
    return f"{on}, {hours} ({config.get('timezone', 'UTC')})"


def _spend_limit(config: Mapping[str, Any]) -> str:
    subject = _SUBJECTS.get(config["scope"], config["scope"])
    amount = f"{config['maxAmount']} {config['currency']}"
    return f"at most {amount} in {config['windowSeconds']} seconds, {subject}"


def _context_match(config: Mapping[str, Any]) -> str:
    conditions = [
        f"{one['field']} {one['operator']} {json.dumps(one['values'] if 'values' in one else one['value'])}"
        for one in config["conditions"]
    ]
    return f"only if {' and '.join(conditions)}"


def _data_flow(config: Mapping[str, Any]) -> str:
    then = {"ask": "ask before", "deny": "deny"}.get(config["then"], config["then"])
    seconds = config["windowSeconds"]
    return f"{then} sending data out within {seconds} seconds of reading private data and others' content"


def _delegation(config: Mapping[str, Any]) -> str:
    bounds = {
        "at most {} times": config.get("maxDepth"),
        "between the agents {}": ", ".join(config.get("agents") or ()),
        "between agents of {}": ", ".join(config.get("organizations") or ()),
    }
    parts = [text.format(value) for text, value in bounds.items() if value not in (None, "")]
    return f"handed over only {' and '.join(parts)}"


def _concerned(rule: Rule) -> str:
    """Return what the rule applies to, or nothing if it applies to everything or says so itself."""
    actions = () if rule.type in _LISTS_OF_ACTIONS else rule.config.get("actions")
    return f" (only for {', '.join(actions)})" if actions else ""


_LISTS_OF_ACTIONS = ("action_allowlist", "action_blocklist")
_DESCRIPTIONS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "rate_limit": _rate_limit,
    "time_window": _time_window,
    "action_allowlist": lambda config: f"only {', '.join(config['actions']) or 'nothing'}",
    "action_blocklist": lambda config: f"never {', '.join(config['actions'])}",
    "ip_allowlist": lambda config: f"only from {', '.join(config['cidrs'])}",
    "spend_limit": _spend_limit,
    "context_match": _context_match,
    "data_flow": _data_flow,
    "delegation": _delegation,
    "cedar": lambda config: f"only what Cedar permits: {' '.join(config['policy'].split())}",
}
