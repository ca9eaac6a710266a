"""What must hold from entry to entry: numbers without gaps, and a connection's totals."""

from __future__ import annotations

from dataclasses import dataclass

from .amounts import Spent, count, show, subtract
from .entries import Entry, Totals
from .errors import Broken, quote

_NOTHING = Totals(0, 0, 0, {})


@dataclass(frozen=True)
class Stream:
    """The sequence of entries that an export is about. `start` and `end` bound its times, if they are given."""

    kind: str
    id: str
    start: int | None = None
    end: int | None = None

    @property
    def part(self) -> str:
        """The name of the part with an entry's number in this stream."""
        return f"organization:{self.id}" if self.kind == "organization" else self.kind

    def contains(self, entry: Entry) -> bool:
        owner = {"person": "userId", "connection": "consentId"}.get(self.kind)
        if owner:
            return bool(entry.record[owner] == self.id)
        return entry.concerns(self.id)


class Order:
    """Indices ascend, and the stream's numbers have no gap except before the export's own entry."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.first = self.last = 0
        self._index = -1
        self._time = 0

    def check(self, entry: Entry, *, is_own: bool) -> bool:
        """Return whether there is a gap before the entry. `is_own`: it is the export's own. Raises `Broken`."""
        if not self.stream.contains(entry):
            raise Broken(f"the entry does not belong to {self.stream.kind} {quote(self.stream.id)[1:-1]}")
        if entry.index <= self._index:
            raise Broken(f"comes after index {self._index}")
        number = entry.number_in(self.stream.part)
        if number is None:
            raise Broken(f"the number in stream {self.stream.kind} is not disclosed")
        has_gap = self._check_first(entry, number) if not self.first else self._check_next(number, is_own)
        self.first, self.last = self.first or number, number
        self._index, self._time = entry.index, entry.time
        return has_gap

    def _check_first(self, entry: Entry, number: int) -> bool:
        if number != 1 and (self.stream.start is None or entry.time >= self.stream.start):
            raise Broken(f"number {number - 1} of stream {self.stream.kind} is missing")
        if number == 0:
            raise Broken("numbers begin with 1")
        return False

    def _check_next(self, number: int, is_own: bool) -> bool:
        expected = self.last + 1
        if number < expected:
            raise Broken(f"number {number} of stream {self.stream.kind} comes after {self.last}")
        is_past_end = self.stream.end is not None and self._time >= self.stream.end
        if number > expected and not (is_own and is_past_end):
            raise Broken(f"number {expected} of stream {self.stream.kind} is missing")
        return number > expected


class Connections:
    """The totals of each connection, recomputed from its entries."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._totals: dict[str, Totals] = {}

    def check(self, entry: Entry, *, has_gap: bool) -> Spent | None:
        """Return what this entry spent, or None if that is not disclosed. Raises `Broken`."""
        consent, totals = entry.record["consentId"], entry.totals
        if totals is None:
            if consent is not None and self.stream.kind != "organization":
                raise Broken("the totals of its connection are not disclosed")
            return entry.amount
        before = self._totals.get(consent) or self._first(totals)
        self._totals[consent] = totals
        if before is None:
            return entry.amount
        return self._compare(entry, before, totals, has_gap)

    def _first(self, totals: Totals) -> Totals | None:
        """Return the totals of a connection before its first entry in the export, or None if they are unknown."""
        return _NOTHING if self.stream.start is None or totals.number == 1 else None

    def _compare(self, entry: Entry, before: Totals, after: Totals, has_gap: bool) -> Spent | None:
        # A person's stream lacks the entries of a connection that were made before it had a person.
        if after.number <= before.number:
            raise Broken(f"number {after.number} of its connection comes after {before.number}")
        spent = subtract(after.spent, before.spent)
        if has_gap:
            self._check_growth(before, after, spent)
            return entry.amount
        denied = entry.is_decision and entry.record["outcome"] == "denied"
        _expect("allowed", before.allowed + entry.is_allowed, after.allowed)
        _expect("denied", before.denied + denied, after.denied)
        if entry.amount is None:
            return self._infer(before, after, spent)
        expected = count(before.spent, entry.amount)
        if after.spent != expected:
            raise Broken(f"total spent is {show(after.spent)} and must be {show(expected)}")
        return entry.amount

    @staticmethod
    def _infer(before: Totals, after: Totals, spent: Spent) -> Spent | None:
        """Return what a hidden amount must have been. If the totals do not grow, it may not count in them."""
        has_lost = before.spent.keys() - after.spent.keys()
        if has_lost or any(sum_ < 0 for sum_ in spent.values()) or len(spent) > 1:
            raise Broken("total spent does not grow by one amount")
        return spent or None

    @staticmethod
    def _check_growth(before: Totals, after: Totals, spent: Spent) -> None:
        if after.allowed < before.allowed or after.denied < before.denied or any(s < 0 for s in spent.values()):
            raise Broken("the totals of its connection shrink")


def _expect(name: str, expected: int, found: int) -> None:
    if found != expected:
        raise Broken(f"total {name} is {found} and must be {expected}")
