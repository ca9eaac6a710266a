"""The limits of a delegation: how many calls, and how much money, with all that was handed on below it.

A window is counted as the server counts it: in slots of a 64th of the window, the current one and the 64 before it. So
no window of the full length has more than the limit, wherever it begins. What is reserved counts until it is committed,
voided, or lapses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .amounts import parse_decimal, total
from .entries import Entry
from .errors import Broken, quote
from .strict_json import read_integer, read_text
from .times import SECOND, format_time

MAXIMA = {"rate_limit": "maxRequests", "spend_limit": "maxAmount"}
_SLOTS = 65
_MINUTE = 60 * SECOND
_MAX_SKEW = 5 * SECOND
"""How far the clocks of servers may differ. What was counted by one that was further ahead counts as now."""


@dataclass
class Sum:
    """A limit of a delegation on one scope, or "" for all, and what counts in it now. A currency makes it of money."""

    delegation: str
    scope: str
    most: Decimal
    seconds: int
    currency: str
    actions: tuple[str, ...]
    _slot: int = 0
    _counts: dict[int, Decimal] = field(default_factory=dict)
    _held: dict[str, tuple[int, Decimal]] = field(default_factory=dict)

    def __str__(self) -> str:
        per = f"per {self.seconds} seconds" + (f", {quote(self.scope)[1:-1]}" if self.scope else "")
        actions = f", only {quote(', '.join(self.actions))[1:-1]}" if self.actions else ""
        what = f"{self.most:f} {quote(self.currency)[1:-1]}" if self.currency else f"{self.most:f} calls"
        return f"{what} {per}{actions}"

    @property
    def kind(self) -> tuple[object, ...]:
        """What identifies its counter. Two limits of one kind share it, and the lower maximum holds."""
        return self.scope, self.seconds, self.currency, tuple(sorted(set(self.actions)))

    def concerns(self, entry: Entry) -> bool:
        asked = [one for one in (*entry.record["scopes"], entry.record["action"]) if one]
        if self.scope and self.scope not in asked:
            return False
        return not self.actions or any(_matches(pattern, one) for pattern in self.actions for one in asked)

    def take(self, number: Decimal, time: int) -> None:
        """Count what was allowed at this time. Raises `Broken` if that is more than the limit."""
        self._advance(time)
        self._counts[self._slot] = total(self._counts.get(self._slot, Decimal()), number)
        self._check(time)

    def hold(self, reservation: str, number: Decimal, until: int, time: int) -> None:
        """Count what was reserved, until the first full minute at or after `until`. Raises `Broken` likewise."""
        self._advance(time)
        self._held[reservation] = -(-until // _MINUTE) * _MINUTE, number
        self._check(time)

    def release(self, reservation: str) -> Decimal:
        """Return what was held, and count it no longer."""
        _, number = self._held.pop(reservation, (0, Decimal()))
        return number

    def _check(self, time: int) -> None:
        used = total(*self._counts.values(), *(number for _, number in self._held.values()))
        if used > self.most:
            raise Broken(
                f"{used:f} by {format_time(time)}, with all that was handed on below the delegation"
                f" {quote(self.delegation)[1:-1]}, whose limit is {self}"
            )

    def _advance(self, time: int) -> None:
        width = self.seconds * (SECOND // (_SLOTS - 1))
        slot = time // width
        if (self._slot - 1) * width > time + _MAX_SKEW:
            ahead = [self._counts.pop(one) for one in list(self._counts) if one > slot]
            self._counts[slot] = total(self._counts.get(slot, Decimal()), *ahead)
            self._slot = slot
        self._slot = max(self._slot, slot)
        self._counts = {one: number for one, number in self._counts.items() if one > self._slot - _SLOTS}
        self._held = {name: held for name, held in self._held.items() if held[0] > time}


def read_sums(delegation: str, limits: Any) -> list[Sum]:
    """Return the limits of a delegation that are sums, one for each kind. Raises `Broken` if they are malformed."""
    found: dict[tuple[object, ...], Sum] = {}
    for one in _read_all(delegation, limits):
        same = found.setdefault(one.kind, one)
        same.most = min(same.most, one.most)
    return list(found.values())


def types_of(limits: Any) -> dict[str, list[str]]:
    """Return the types of the limits by scope, as the record has them. Raises `Broken` if they are malformed."""
    if not isinstance(limits, dict) or not all(isinstance(rules, list) for rules in limits.values()):
        raise Broken("the limits of the delegation are malformed")
    return {scope: [read_text(_member(rule, "type"), "a limit's type") for rule in limits[scope]] for scope in limits}


def _read_all(delegation: str, limits: dict[str, list[Any]]) -> Iterable[Sum]:
    for scope, rules in limits.items():
        for rule in rules:
            if rule["type"] in MAXIMA:
                yield _read(delegation, scope, rule["type"], _member(rule, "config"))


def _read(delegation: str, scope: str, type_: str, config: Any) -> Sum:
    most = parse_decimal(_member(config, MAXIMA[type_]), "the maximum of a limit")
    seconds = read_integer(_member(config, "windowSeconds"), "the window of a limit")
    actions = config.get("actions", [])
    if not seconds or not isinstance(actions, list) or not all(isinstance(one, str) for one in actions):
        raise Broken("the limits of the delegation are malformed")
    currency = read_text(_member(config, "currency"), "a limit's currency") if type_ == "spend_limit" else ""
    return Sum(delegation, scope, most, seconds, currency, tuple(actions))


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise Broken(f"a limit of the delegation has no {name!r}")
    return value[name]


def _matches(pattern: str, asked: str) -> bool:
    return asked.startswith(pattern[:-1]) if pattern.endswith("*") else asked == pattern
