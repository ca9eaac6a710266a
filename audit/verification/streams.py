"""Checks the streams: numbers without gaps, exact totals, and the saved heads."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from audit.entries.outlines import CONNECTION, stream_names
from audit.events import Event, Outcome
from audit.models import Stream
from audit.sequencing.log import streams_size
from audit.sequencing.streams import MAX_CURRENCIES, Head, Totals, add_amount
from audit.verification import Bad
from audit.verification.entries import Checked

ROWS_PER_READ = 2000


@dataclass(frozen=True, slots=True)
class Saved:
    """The saved heads at one moment, by their number and a digest of all, because they do not fit into memory twice."""

    size: int
    count: int
    digest: int


def read_saved() -> Saved:
    """Return the saved heads. Call it where nothing changes meanwhile."""
    size = streams_size()
    return Saved(size, *_summed(_stored_heads()))


class Streams:
    """The head of each stream, counted from the entries."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}

    def __len__(self) -> int:
        return len(self._heads)

    def append(self, checked: Checked) -> None:
        try:
            self._append(checked)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Bad(f"the numbers are damaged: {error!r}", checked.entry.leaf_index) from error

    def _append(self, checked: Checked) -> None:
        entry, numbers = checked.entry, checked.numbers
        streams = [*entry.organization_ids, *filter(None, [entry.user_id])]
        names = stream_names(entry.organization_ids, entry.user_id, None)
        if len(numbers.plain) != len(streams) or (numbers.totals is None) != (entry.consent_id is None):
            raise Bad("the entry has the numbers of other streams", entry.leaf_index)
        for stream, name, number in zip(streams, names, numbers.plain, strict=True):
            _check_number(self._next(stream), number, f"{name} ({stream})", entry.leaf_index)
        if entry.consent_id and numbers.totals:
            self._count(self._next(entry.consent_id), numbers.totals, checked)

    def check_saved(self, saved: Saved) -> None:
        """Compare with the heads that were saved at this size."""
        heads = ((stream, head) for stream, head in self._heads.items())
        if (saved.count, saved.digest) == _summed(heads):
            return
        for stream, head in _stored_heads():
            if _digest(stream, head) != _digest(stream, self._heads.get(stream, Head())):
                raise Bad(f"the saved head of the stream {stream} is not the one at size {saved.size}", saved.size)
        raise Bad(f"the saved heads of streams are not those at size {saved.size}", saved.size)

    def _next(self, stream: str) -> Head:
        head = self._heads.setdefault(stream, Head())
        head.number += 1
        return head

    def _count(self, head: Head, totals: Totals, checked: Checked) -> None:
        entry = checked.entry
        _check_number(head, totals.number, f"{CONNECTION} ({entry.consent_id})", entry.leaf_index)
        is_allowed = entry.event == Event.TOKEN_VERIFY and entry.outcome == Outcome.ALLOWED
        head.allowed += is_allowed
        head.denied += entry.event == Event.TOKEN_VERIFY and not is_allowed
        if is_allowed:
            head.note_use(entry.timestamp, entry.scopes)
        if (head.allowed, head.denied) != (totals.allowed, totals.denied):
            raise Bad("the totals of allowed and denied decisions are wrong", entry.leaf_index)
        can_spend = is_allowed or entry.event == Event.RESERVATION_COMMITTED
        _check_spent(head.spent, totals.spent, checked, can_spend=can_spend)
        head.spent = totals.spent


def _check_number(head: Head, number: int, name: str, index: int) -> None:
    if head.number != number:
        raise Bad(f"its number in the stream {name} is {number} instead of {head.number}", index)


def _check_spent(before: Mapping[str, str], after: Mapping[str, str], checked: Checked, *, can_spend: bool) -> None:
    """Check the sums by currency. Amounts that were erased must not have been negative."""
    if can_spend and checked.personal is None:
        grows = all(Decimal(after.get(currency, "-1")) >= Decimal(value) for currency, value in before.items())
        is_right = grows and len(after) <= MAX_CURRENCIES
    else:
        amount = (checked.personal or {}).get("amount") if can_spend else None
        is_right = after == add_amount(before, amount)
    if not is_right:
        raise Bad("the total of what was spent is wrong", checked.entry.leaf_index)


def _stored_heads() -> Iterator[tuple[str, Head]]:
    last = ""
    while found := list(Stream.objects.filter(pk__gt=last).order_by("pk")[:ROWS_PER_READ]):
        for row in found:
            yield row.id, Head.from_row(row)
        last = found[-1].id


def _summed(heads: Any) -> tuple[int, int]:
    """Return the number of heads and a sum of their digests, in whatever order they are."""
    count = total = 0
    for stream, head in heads:
        count, total = count + 1, total + _digest(stream, head)
    return count, total


def _digest(stream: str, head: Head) -> int:
    shown = [stream, head.number, head.allowed, head.denied, head.spent, head.used_at, head.uses]
    return int.from_bytes(hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).digest(), "big")
