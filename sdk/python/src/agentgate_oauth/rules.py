"""Constructors for the rules of a policy: `rules=[rate_limit(max_requests=10, window_seconds=3600)]`.

`actions` are the scopes or actions that a rule concerns, such as "email:send" or "payments:*"; by default
all. A plain `{"type": ..., "config": {...}}` also works, for rule types newer than this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from ._call import given
from ._checks import listed, listed_or_none, separate
from .models import Rule

Counted = Literal["per_user", "per_agent", "global"]
Operator = Literal[
    "equals",
    "not_equals",
    "in",
    "not_in",
    "starts_with",
    "ends_with",
    "glob",
    "matches_any",
    "at_most",
    "at_least",
    "exists",
]
_TAKE_LISTS = ("in", "not_in", "matches_any")


def rate_limit(
    *,
    max_requests: int,
    window_seconds: int,
    scope: Counted = "per_user",
    actions: Sequence[str] | None = None,
) -> Rule:
    """Allow at most `max_requests` decisions in any window of `window_seconds`."""
    return _rule("rate_limit", actions, max_requests=max_requests, window_seconds=window_seconds, scope=scope)


def spend_limit(
    *,
    max_amount: str | Decimal,
    currency: str,
    window_seconds: int,
    scope: Counted = "per_user",
    actions: Sequence[str] | None = None,
) -> Rule:
    """Allow requests whose `context["amount"]` add up to at most `max_amount` in any window.

    A request without an amount, or with one in another currency, is denied: use `actions` to concern only
    those that spend.
    """
    if not isinstance(max_amount, (str, Decimal)):
        raise TypeError('max_amount must be exact: pass a string such as "100.00", or a Decimal')
    text = format(max_amount, "f") if isinstance(max_amount, Decimal) else max_amount
    return _rule(
        "spend_limit", actions, max_amount=text, currency=currency, window_seconds=window_seconds, scope=scope
    )


def time_window(
    *,
    allowed_days: Sequence[int],
    start_time: str,
    end_time: str,
    timezone: str = "UTC",
    actions: Sequence[str] | None = None,
) -> Rule:
    """Allow only on these days (1 Monday to 7 Sunday), from "HH:MM" to before "HH:MM" in `timezone`."""
    return _rule(
        "time_window",
        actions,
        allowed_days=listed("allowed_days", allowed_days, "days"),
        start_time_utc=start_time,
        end_time_utc=end_time,
        timezone=timezone,
    )


def action_allowlist(*actions: str) -> Rule:
    """Allow only these scopes and actions; `payments:*` matches a prefix. No arguments deny everything."""
    return Rule("action_allowlist", given(actions=separate("actions", actions)))


def action_blocklist(*actions: str) -> Rule:
    """Deny these scopes and actions; `payments:*` matches a prefix."""
    return Rule("action_blocklist", given(actions=separate("actions", actions)))


def ip_allowlist(*cidrs: str, actions: Sequence[str] | None = None) -> Rule:
    """Allow only requests whose address (`context["ip"]`) is in one of these networks."""
    return _rule("ip_allowlist", actions, cidrs=separate("cidrs", cidrs))


def context_match(*conditions: Mapping[str, Any], actions: Sequence[str] | None = None) -> Rule:
    """Allow only requests that meet all conditions, which `condition` makes. A missing field denies."""
    if not all(isinstance(one, Mapping) for one in conditions):
        raise TypeError("pass each of the conditions as a separate argument, made with condition(...)")
    return _rule("context_match", actions, conditions=[dict(one) for one in conditions])


def condition(field: str, operator: Operator, value: Any = None) -> dict[str, Any]:
    """Return a condition on `resource` or a field of `context`, such as "recipient" or "amount.value".

    The value of "in", "not_in" and "matches_any" is a list, that of "exists" is True (the default) or False.
    Numbers are strings, such as "50.00", or a Decimal.
    """
    if operator in _TAKE_LISTS:
        return {"field": field, "operator": operator, "values": listed("value", value, "values")}
    if operator == "exists" and value is None:
        value = True
    return {
        "field": field,
        "operator": operator,
        "value": format(value, "f") if isinstance(value, Decimal) else value,
    }


def data_flow(
    *, window_seconds: int, then: Literal["ask", "deny"] = "ask", actions: Sequence[str] | None = None
) -> Rule:
    """Ask the user, or deny, before a task sends data out that has read private data and others' content.

    A task is `context["task"]`, by default all that the agent does for the user. The labels of the scopes say
    what is private, untrusted and outbound, and `context["labels"]` adds some for one call.
    """
    return _rule("data_flow", actions, window_seconds=window_seconds, then=then)


def delegation(
    *,
    max_depth: int | None = None,
    agents: Sequence[str] | None = None,
    organizations: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> Rule:
    """Bound the chain of agents that handed the work over. Calls that were not handed over pass.

    max_depth=0 refuses all such work. With `agents` or `organizations`, all of the chain must be listed.
    """
    return _rule(
        "delegation",
        actions,
        max_depth=max_depth,
        agents=listed_or_none("agents", agents, "agent ids"),
        organizations=listed_or_none("organizations", organizations, "organization ids"),
    )


def cedar(policy: str, *, actions: Sequence[str] | None = None) -> Rule:
    """Allow only what a policy in Cedar permits. `forbid` overrides; a statement with an error denies."""
    return _rule("cedar", actions, policy=policy)


def _rule(type_: str, actions: Sequence[str] | None, **config: object) -> Rule:
    return Rule(type_, given(**config, actions=listed_or_none("actions", actions, "actions")))
