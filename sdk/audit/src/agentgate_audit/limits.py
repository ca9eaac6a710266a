"""Limits that must hold in every window of time, wherever the window begins."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from decimal import Decimal

from .amounts import Spent, add, parse_decimal
from .entries import Entry
from .errors import Broken, Unusable, quote
from .times import SECOND, format_time

_LIMIT = re.compile(r"([0-9]{1,15})/([1-9][0-9]{0,9})")
_SPENDING = re.compile(r"([0-9.]{1,60})/([^/\s]{1,20})/([1-9][0-9]{0,9})")


@dataclass(frozen=True)
class Limit:
    """At most `number` allowed decisions in every window of `seconds`."""

    number: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.number}/{self.seconds}"


@dataclass(frozen=True)
class Spending:
    """At most `amount` spent in every window of `seconds`."""

    amount: Decimal
    currency: str
    seconds: int

    def __str__(self) -> str:
        return f"{self.amount:f}/{self.currency}/{self.seconds}"


def parse_limit(text: str) -> Limit:
    """Return the limit N/SECONDS. Raises `Unusable`."""
    found = _LIMIT.fullmatch(text)
    if not found:
        raise Unusable(f"not a limit, which looks like 20/3600: {quote(text)}")
    return Limit(int(found[1]), int(found[2]))


def parse_spending(text: str) -> Spending:
    """Return the limit AMOUNT/CURRENCY/SECONDS. Raises `Unusable`."""
    found = _SPENDING.fullmatch(text)
    try:
        if found:
            return Spending(parse_decimal(found[1], "the amount"), found[2], int(found[3]))
    except Broken:
        pass
    raise Unusable(f"not a limit of spending, which looks like 100.00/EUR/86400: {quote(text)}")


class Windows:
    """The times of all allowed decisions, if there is a limit to check: 16 bytes each, and more for amounts.

    They are kept until the end because entries are in the order of the log, which is not exactly that of their times.
    """

    def __init__(self, limits: list[Limit], spendings: list[Spending]) -> None:
        self._limits = limits
        self._spendings = spendings
        self._times = array("q")
        self._indices = array("q")
        self._spent: dict[str, list[tuple[int, int, Decimal]]] = {one.currency: [] for one in spendings}

    def note(self, entry: Entry, spent: Spent | None) -> None:
        """Remember what an allowed decision counts. Raises `Unusable` if that is not known or its amount is hidden."""
        if entry.is_damaged and (self._limits or self._spendings):
            raise Unusable(f"index {entry.index}: limits cannot be checked, because the entry was damaged")
        if self._limits and entry.is_allowed:
            self._times.append(entry.time)
            self._indices.append(entry.index)
        if self._spendings and spent is None:
            raise Unusable(f"index {entry.index}: spending cannot be checked, because the amount is not disclosed")
        if self._spendings and entry.has_unreadable_amount:
            raise Unusable(
                f"index {entry.index}: spending cannot be checked, because the server could not read its amount"
            )
        for currency, amount in (spent or {}).items():
            if currency in self._spent:
                self._spent[currency].append((entry.time, entry.index, amount))

    def check(self) -> None:
        """Raise `Broken` if a window has more than its limit."""
        order = sorted(range(len(self._times)), key=lambda place: (self._times[place], self._indices[place]))
        for limit in self._limits:
            self._check_limit(limit, order)
        for spending in self._spendings:
            _check_spending(spending, sorted(self._spent[spending.currency]))

    def _check_limit(self, limit: Limit, order: list[int]) -> None:
        for first, last in zip(order, order[limit.number :], strict=False):
            if self._times[last] - self._times[first] < limit.seconds * SECOND:
                since = format_time(self._times[first])
                raise Broken(
                    f"index {self._indices[last]}: number {limit.number + 1} within {limit.seconds} seconds"
                    f" from {since}, which the limit {limit} does not allow"
                )


def _check_spending(limit: Spending, spent: list[tuple[int, int, Decimal]]) -> None:
    first, window = 0, Decimal()
    for time, index, amount in spent:
        window = add({"": window}, {"": amount}).get("", Decimal())
        while time - spent[first][0] >= limit.seconds * SECOND:
            window = add({"": window}, {"": -spent[first][2]}).get("", Decimal())
            first += 1
        if window > limit.amount:
            raise Broken(
                f"index {index}: {window:f} {limit.currency} spent within {limit.seconds} seconds"
                f" from {format_time(spent[first][0])}, which the limit {limit} does not allow"
            )
