"""Streams: the entries of an organization, a person or a connection, numbered 1, 2, 3, … without gaps.

The sequencer keeps the heads of streams in memory and saves them now and then. The entries logged since then contain
newer numbers, so after a restart it reads those.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from enum import Enum
from typing import Any, NamedTuple, Protocol

import orjson

from audit.events import Event, Outcome

# How many heads, and uses of scopes in them, stay in memory once they are saved. Each takes about 300 bytes.
MAX_KEPT = 100_000
MAX_KEPT_USES = 300_000
# How many scopes of a connection have their uses counted. It bounds the size of a head.
MAX_SCOPES = 100
# Every later entry of a connection has all its totals, so their number bounds what an agent can make the log store.
MAX_CURRENCIES = 16
# The part `amount` of a call whose amount cannot be added up.
UNREADABLE = {"unreadable": True}
# The member of the part `amount` of a call that only reserved it. What counts is in the entry of the commit.
RESERVED = "reserved"
# Enough digits that no sum of the log is ever rounded. The default, 28, is not.
EXACT = Context(prec=200)


class Totals(NamedTuple):
    """The number of an entry in its connection's stream and the totals up to it. `spent` is by currency."""

    number: int
    allowed: int
    denied: int
    spent: Mapping[str, str]

    def encode(self) -> bytes:
        """Return canonical JSON."""
        spent = _encode(self.spent)
        return b'{"allowed":%d,"denied":%d,"number":%d,"spent":%b}' % (self.allowed, self.denied, self.number, spent)


class Numbers(NamedTuple):
    """An entry's numbers in its streams of organizations and, last, of its person, and the totals of its connection."""

    plain: list[int]
    totals: Totals | None

    @classmethod
    def from_lists(cls, plain: list[int], totals: Sequence[Any] | None) -> "Numbers":
        return cls(plain, None if totals is None else Totals(*totals))


@dataclass(slots=True)
class Head:
    """The last number of a stream and, for a connection, its totals and its uses: its allowed verifies.

    `used_at` is the time of the last use. `uses` has, by scope, the number of the uses that required it and the time
    of the last. It has the first `MAX_SCOPES` scopes that were used.
    """

    number: int = 0
    allowed: int = 0
    denied: int = 0
    spent: Mapping[str, str] = field(default_factory=dict)
    used_at: datetime | None = None
    uses: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Any) -> "Head":
        """Return a saved head. `row` is a `Stream`."""
        spent = orjson.loads(row.spent)
        return cls(row.number, row.allowed, row.denied, spent, row.used_at, decode_uses(row.uses))

    def encode_spent(self) -> str:
        return _encode(self.spent).decode()

    def encode_uses(self) -> str:
        return _encode(self.uses).decode()

    def note_use(self, at: datetime, scopes: Iterable[str]) -> None:
        """Count a use. Keep the latest times: several processes log slightly out of the order of their times."""
        self.used_at = max(at, self.used_at or at)
        uses = self.uses
        for scope in dict.fromkeys(scopes):
            if scope in uses:
                use = uses[scope]
                use[0] += 1
                use[1] = max(at, use[1])
            elif len(uses) < MAX_SCOPES:
                uses[scope] = [1, at]


def decode_uses(stored: str) -> dict[str, list[Any]]:
    """Return the uses of a saved head, by scope: their number and the time of the last."""
    found = orjson.loads(stored)
    return {scope: [number, datetime.fromisoformat(at)] for scope, (number, at) in found.items()}


def add_amount(spent: Mapping[str, str], amount: Any) -> Mapping[str, str]:
    """Return the totals with the part `amount` of an entry, exactly.

    An unreadable one does not count, nor one that is only reserved, nor one in a currency more than `MAX_CURRENCIES`.
    """
    if not amount or amount == UNREADABLE or RESERVED in amount:
        return spent
    currency = amount["currency"]
    if currency not in spent and len(spent) >= MAX_CURRENCIES:
        return spent
    total = EXACT.add(Decimal(spent.get(currency, "0")), Decimal(amount["value"]))
    return {**spent, currency: format(total, "f")}


class Effect(Enum):
    """What an entry adds to the totals of its connection: a use counts, and its amount. So does that of a commit."""

    NONE = 0
    USE = 1
    DENIAL = 2
    COMMIT = 3


SPENDING = frozenset({Effect.USE, Effect.COMMIT})


def effect_of(event: str, outcome: str) -> Effect:
    if event == Event.TOKEN_VERIFY:
        return Effect.USE if outcome == Outcome.ALLOWED else Effect.DENIAL
    return Effect.COMMIT if event == Event.RESERVATION_COMMITTED else Effect.NONE


class Counted(Protocol):
    """Where an entry counts, and how. `scopes` are those of a use."""

    @property
    def streams(self) -> Sequence[str]: ...

    @property
    def consent_id(self) -> str | None: ...

    @property
    def effect(self) -> Effect: ...

    @property
    def scopes(self) -> Sequence[str]: ...


class Heads:
    """The heads of streams. Those in `changed` are newer than what the database has."""

    def __init__(self) -> None:
        self.known: dict[str, Head] = {}
        self.changed: set[str] = set()
        self._kept_uses = 0

    def load(self, stream: str, head: Head) -> None:
        """Take over a saved head."""
        self.known[stream] = head
        self._kept_uses += len(head.uses)

    def missing(self, entries: Sequence[Counted]) -> list[str]:
        """Return the streams of these entries that are not known."""
        known = self.known
        found = {one for entry in entries for one in entry.streams if one not in known}
        found.update([one for entry in entries if (one := entry.consent_id) and one not in known])
        return sorted(found)

    def number(self, entry: Counted, at: datetime, amount: Any) -> Numbers:
        """Give an entry the next number in each of its streams, all of which must be known."""
        known, plain = self.known, []
        for stream in entry.streams:
            head = known[stream]
            head.number += 1
            plain.append(head.number)
        self.changed.update(entry.streams)
        connection = entry.consent_id
        return Numbers(plain, self._count(self._next(connection), entry, at, amount) if connection else None)

    def restore(self, entry: Counted, at: datetime, numbers: Numbers) -> None:
        """Take over the numbers of an entry that is in the log already. Call it for entries in order."""
        for stream, number in zip(entry.streams, numbers.plain, strict=True):
            self._next(stream).number = number
        if entry.consent_id and numbers.totals:
            head = self._next(entry.consent_id)
            head.number, head.allowed, head.denied, head.spent = numbers.totals
            if entry.effect is Effect.USE:
                self._note_use(head, at, entry.scopes)

    def forget_saved(self) -> None:
        """Forget that they changed, because they are saved now, and bound the memory."""
        self.changed.clear()
        if len(self.known) > MAX_KEPT or self._kept_uses > MAX_KEPT_USES:
            self.known.clear()
            self._kept_uses = 0

    def _next(self, stream: str) -> Head:
        head = self.known[stream]
        head.number += 1
        self.changed.add(stream)
        return head

    def _count(self, head: Head, entry: Counted, at: datetime, amount: Any) -> Totals:
        effect = entry.effect
        if effect is Effect.USE:
            head.allowed += 1
            self._note_use(head, at, entry.scopes)
        elif effect is Effect.DENIAL:
            head.denied += 1
        if amount and effect in SPENDING:
            head.spent = add_amount(head.spent, amount)
        return Totals(head.number, head.allowed, head.denied, head.spent)

    def _note_use(self, head: Head, at: datetime, scopes: Sequence[str]) -> None:
        before = len(head.uses)
        head.note_use(at, scopes)
        self._kept_uses += len(head.uses) - before


def _encode(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if value else b"{}"
