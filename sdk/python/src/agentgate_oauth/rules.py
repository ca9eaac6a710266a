"""Constructors for the rules of a policy: `rules=[rate_limit(max_requests=10, window_seconds=3600)]`.

A plain `{"type": ..., "config": {...}}` also works, for rule types newer than this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ._call import given
from ._checks import listed, separate
from .models import Rule


def rate_limit(
    *, max_requests: int, window_seconds: int, scope: Literal["per_user", "per_agent", "global"] = "per_user"
) -> Rule:
    """Allow at most `max_requests` decisions in any window of `window_seconds`."""
    return Rule("rate_limit", given(max_requests=max_requests, window_seconds=window_seconds, scope=scope))


def time_window(
    *, allowed_days: Sequence[int], start_time: str, end_time: str, timezone: str = "UTC"
) -> Rule:
    """Allow only on these days (1 Monday to 7 Sunday), from "HH:MM" to before "HH:MM" in `timezone`."""
    return Rule(
        "time_window",
        given(
            allowed_days=listed("allowed_days", allowed_days, "days"),
            start_time_utc=start_time,
            end_time_utc=end_time,
            timezone=timezone,
        ),
    )


def action_allowlist(*actions: str) -> Rule:
    """Allow only these scopes and actions; `payments:*` matches a prefix. No arguments deny everything."""
    return Rule("action_allowlist", given(actions=separate("actions", actions)))


def action_blocklist(*actions: str) -> Rule:
    """Deny these scopes and actions; `payments:*` matches a prefix."""
    return Rule("action_blocklist", given(actions=separate("actions", actions)))


def ip_allowlist(*cidrs: str) -> Rule:
    """Allow only requests whose address (`context["ip"]`) is in one of these networks."""
    return Rule("ip_allowlist", given(cidrs=separate("cidrs", cidrs)))
