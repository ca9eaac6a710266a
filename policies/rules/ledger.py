"""What a policy's limits have counted, preserved when the policy is edited.

Limits of a policy that concern the same requests count the same, so a limit that an edit adds can start from the
counters of others.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from core.money import Amount
from limits.sliding_window import MAX_NUMBER, SLOTS, CounterRequest, counter_key
from policies.rules.patterns import Matcher

EVERYONE = "*"
# Within a connection, every scope counts the same requests.
CONNECTION_SCOPE = "per_user"
MAX_REQUESTS = 16_384
MAX_KINDS = 4096
UNLIMITED = (MAX_NUMBER + 1) * SLOTS * 2
BUDGET_EXCEEDED = "The spending limit is exceeded."


class LimitKind(NamedTuple):
    """What identifies the counters of a limit within its policy. The maximum is not part of it.

    It counts requests or, with a currency, amounts. `actions` are those that it concerns, or empty for all. Make one
    with `of`, so that equal kinds compare equal.
    """

    window_seconds: int
    scope: str
    currency: str = ""
    actions: tuple[str, ...] = ()

    @classmethod
    def of(cls, window_seconds: int, scope: str, currency: str = "", actions: Collection[str] = ()) -> "LimitKind":
        return cls(window_seconds, scope, currency, _shortest(tuple(actions)))

    def concerns(self, asked: Iterable[str]) -> bool:
        """Return whether it counts a request that asks for these scopes and actions."""
        return not self.actions or any(map(_matcher(self.actions).matches, asked))

    def covers(self, other: "LimitKind") -> bool:
        """Return whether it concerns all requests that the other one concerns."""
        if not self.actions or not other.actions:
            return not self.actions
        return all(any(_contains(own, each) for own in self.actions) for each in other.actions)

    def overlaps(self, other: "LimitKind") -> bool:
        """Return whether an action can concern both."""
        if not self.actions or not other.actions:
            return True
        return any(_contains(own, each) or _contains(each, own) for own in self.actions for each in other.actions)


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
        return _key(self.policy_id, kind, subject)

    def request(self, kind: LimitKind, subject: str, limit: int, now: datetime) -> CounterRequest:
        """Return the counter of this limit on requests for the subject."""
        return _request(self.policy_id, kind, subject, limit, is_charged=self._is_charged(kind, now))

    def amount_request(self, kind: LimitKind, subject: str, limit: int, now: datetime, number: int) -> CounterRequest:
        """Return the counter of this limit on amounts for the subject, from which the request takes `number`."""
        added_key = self.key(kind, EVERYONE) if self._is_charged(kind, now) else ""
        key = self.key(kind, subject)
        return CounterRequest(
            key, limit, kind.window_seconds, added_key, number=number, is_amount=True, denial=BUDGET_EXCEEDED
        )

    def retired_requests(
        self, kind: LimitKind, subject: str, now: datetime, asked: Iterable[str], amount: Amount | None
    ) -> tuple[CounterRequest, ...]:
        """Return the counter of a retired kind for a request, or nothing if it does not concern it."""
        if not kind.concerns(asked):
            return ()
        if not kind.currency:
            return (self.request(kind, subject, UNLIMITED, now),)
        if amount is None or amount.currency != kind.currency:
            return ()
        return (self.amount_request(kind, subject, UNLIMITED, now, amount.units),)

    def _is_charged(self, kind: LimitKind, now: datetime) -> bool:
        charged_until = self.charged.get(kind) if self.charged else None
        return charged_until is not None and now < charged_until


def connection_ledger(agent_id: str, user_id: str, scope: str, retired: Sequence[Mapping[str, Any]] = ()) -> Ledger:
    """Return the counters of a user's limits on a scope, or "" for all. They survive a renewal of the consent.

    `retired` are the stored kinds that the user has removed.
    """
    # A digest, because scopes can be too long for the keys of counters, which are found by their beginning.
    name = hashlib.sha256(f"{agent_id}|{user_id}|{scope}".encode()).hexdigest()
    return Ledger.read(name, {"retired": retired})


def subject_of(scope: str, *, agent_id: str, user_id: str | None) -> str:
    """Return the subject whose requests are counted together. A request without a user counts for its agent."""
    if scope == "global":
        return "all"
    return agent_id if scope == "per_agent" or user_id is None else user_id


# The same users ask again and again.
@lru_cache(MAX_REQUESTS)
def _request(policy_id: str, kind: LimitKind, subject: str, limit: int, *, is_charged: bool) -> CounterRequest:
    added_key = _key(policy_id, kind, EVERYONE) if is_charged else ""
    return CounterRequest(_key(policy_id, kind, subject), limit, kind.window_seconds, added_key)


@lru_cache(MAX_REQUESTS)
def _key(policy_id: str, kind: LimitKind, subject: str) -> str:
    unit = "spend" if kind.currency else "rate"
    return counter_key(unit, policy_id, kind.window_seconds, _label(kind), subject)


@lru_cache(MAX_KINDS)
def _label(kind: LimitKind) -> str:
    """Return what tells counters with the same window apart. It has no separator of keys, and a bounded length."""
    parts = [kind.scope, kind.currency] if kind.currency else [kind.scope]
    if kind.actions:
        parts.append(hashlib.sha256("\n".join(kind.actions).encode()).hexdigest())
    return ":".join(parts)


@lru_cache(MAX_KINDS)
def _shortest(actions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns in order, without those that another one contains."""
    names = sorted(set(actions))
    return tuple(each for each in names if not any(other != each and _contains(other, each) for other in names))


def _contains(pattern: str, other: str) -> bool:
    """Return whether everything that `other` matches, `pattern` matches too."""
    if not pattern.endswith("*"):
        return pattern == other
    return other.removesuffix("*").startswith(pattern[:-1])


@lru_cache(MAX_KINDS)
def _matcher(actions: tuple[str, ...]) -> Matcher:
    return Matcher.of(actions)


def _read(stored: Any) -> dict[LimitKind, datetime]:
    return {_read_kind(each): datetime.fromisoformat(each["until"]) for each in stored}


def _read_kind(stored: Any) -> LimitKind:
    actions = stored.get("actions", [])
    if not (isinstance(actions, list) and all(isinstance(each, str) for each in actions)):
        raise TypeError("The actions of a limit must be a list of strings.")
    return LimitKind.of(stored["windowSeconds"], stored["scope"], stored.get("currency", ""), actions)


def _write(kinds: Mapping[LimitKind, datetime]) -> list[dict[str, Any]]:
    return [{**_write_kind(kind), "until": until.isoformat()} for kind, until in sorted(kinds.items())]


def _write_kind(kind: LimitKind) -> dict[str, Any]:
    stored: dict[str, Any] = {"windowSeconds": kind.window_seconds, "scope": kind.scope}
    if kind.currency:
        stored["currency"] = kind.currency
    return {**stored, "actions": list(kind.actions)} if kind.actions else stored
