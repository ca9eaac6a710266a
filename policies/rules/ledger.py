"""What a policy's limits have counted, preserved when the policy is edited.

All limits of a policy count the same requests, so a limit that an edit adds can start from another one's counters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from limits.sliding_window import CounterRequest, counter_key

EVERYONE = "*"
MAX_REQUESTS = 16_384


@dataclass(frozen=True, slots=True, order=True)
class LimitKind:
    """What identifies the counters of a limit within its policy. The maximum is not part of it."""

    window_seconds: int
    scope: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The counters of a policy in addition to those of its rules.

    `retired` kinds were removed by an edit; until the given time they still count, but never deny. Until the given
    time, counters of `charged` kinds include what an edit charged to every subject.
    """

    policy_id: str
    retired: Mapping[LimitKind, datetime] = field(default_factory=dict)
    charged: Mapping[LimitKind, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, policy_id: str, stored: Mapping[str, Any]) -> "Ledger":
        """Parse a stored ledger. Raises `ValueError`, `LookupError` or `TypeError` if it is damaged."""
        return cls(policy_id, _read(stored.get("retired", ())), _read(stored.get("charged", ())))

    def stored(self) -> dict[str, Any]:
        return {"retired": _write(self.retired), "charged": _write(self.charged)}

    def key(self, kind: LimitKind, subject: str) -> str:
        return _key(self.policy_id, kind.window_seconds, kind.scope, subject)

    def request(self, kind: LimitKind, subject: str, limit: int, now: datetime) -> CounterRequest:
        """Return the counter of this limit for the subject."""
        charged_until = self.charged.get(kind) if self.charged else None
        is_charged = charged_until is not None and now < charged_until
        return _request(self.policy_id, kind.window_seconds, kind.scope, subject, limit, is_charged=is_charged)


def subject_of(scope: str, *, agent_id: str, user_id: str | None) -> str:
    """Return the subject whose requests are counted together. A request without a user counts for its agent."""
    if scope == "global":
        return "all"
    return agent_id if scope == "per_agent" or user_id is None else user_id


# The same users ask again and again.
@lru_cache(MAX_REQUESTS)
def _request(
    policy_id: str, window_seconds: int, scope: str, subject: str, limit: int, *, is_charged: bool
) -> CounterRequest:
    key = _key(policy_id, window_seconds, scope, subject)
    added_key = _key(policy_id, window_seconds, scope, EVERYONE) if is_charged else ""
    return CounterRequest(key, limit, window_seconds, added_key)


def _key(policy_id: str, window_seconds: int, scope: str, subject: str) -> str:
    return counter_key("rate", policy_id, window_seconds, scope, subject)


def _read(stored: Any) -> dict[LimitKind, datetime]:
    return {LimitKind(kind["windowSeconds"], kind["scope"]): datetime.fromisoformat(kind["until"]) for kind in stored}


def _write(kinds: Mapping[LimitKind, datetime]) -> list[dict[str, Any]]:
    return [
        {"windowSeconds": kind.window_seconds, "scope": kind.scope, "until": until.isoformat()}
        for kind, until in sorted(kinds.items())
    ]
