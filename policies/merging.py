"""Moves what earlier editions of a policy's counters have counted into the present one (docs/adr/0014).

What a limit reads stays the same, because the rows of a subject move in one transaction. So each is short, decisions go
on in between, and a merge that stops can start again.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import batched

from django.db import connection, transaction
from django.db.models import QuerySet

from core import clock
from core.locks import writing
from core.sweeps import REST
from limits.counters import clear_counters, lock_counters, save_counters, stored_keys
from limits.models import Reservation
from limits.reservations import Hold, find_holds, move_holds
from limits.sliding_window import CounterRequest, LoadedCounter
from policies.rules.editions import GLOBAL, Edition
from policies.rules.kinds import LimitKind
from policies.rules.ledger import ALL, EVERYONE, Ledger

# Rows in one transaction, which takes some milliseconds.
MAX_ROWS = 60


def merge_editions(
    ledger: Ledger, kinds: Collection[LimitKind], reservations: QuerySet[Reservation], deadline: float | None = None
) -> bool:
    """Move what the earlier editions have counted into the rows of `kinds`, which are all that count at present.

    `reservations` are those that may be held in the counters. Return False if the time is over before the end.
    """
    for edition in ledger.earlier:
        merge = _Merge(ledger, edition, kinds, reservations)
        for scope, subjects in merge.groups():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            start = time.monotonic()
            with writing(), transaction.atomic():
                merge.move(scope, subjects, clock.now())
            if not connection.in_atomic_block:
                time.sleep(REST[connection.vendor] * (time.monotonic() - start))
    return True


class _Merge:
    def __init__(
        self,
        ledger: Ledger,
        edition: Edition,
        kinds: Collection[LimitKind],
        reservations: QuerySet[Reservation],
    ) -> None:
        self._ledger, self._edition, self._reservations = ledger, edition, reservations
        self._targets: defaultdict[LimitKind, list[tuple[LimitKind, datetime | None]]] = defaultdict(list)
        for kind in sorted(kinds):
            for part in edition.parts(kind):
                self._targets[edition.source(part)].append((kind, part.until))
        self._holds: dict[str, set[str]] | None = None

    def groups(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield scopes with some of their subjects, until all have been yielded."""
        for scope in sorted({kind.scope for kind in self._targets}):
            rows = sum(1 + len(targets) for kind, targets in self._targets.items() if kind.scope == scope)
            for subjects in batched(self._subjects(scope), max(1, MAX_ROWS // rows)):
                yield scope, subjects

    def move(self, scope: str, subjects: Sequence[str], now: datetime) -> None:
        """Move what the counters of these subjects have. Call it in a transaction of its own, or without decisions."""
        moves = [
            (self._ledger.key(origin, subject, self._edition.number), origin, self._target(kind, scope, subject), until)
            for origin, targets in self._targets.items()
            if origin.scope == scope
            for subject in subjects
            for kind, until in targets
        ]
        windows = dict(target for _, _, target, _ in moves)
        windows |= {key: origin.window_seconds for key, origin, _, _ in moves}
        counters = lock_counters(CounterRequest(key, 1, window) for key, window in windows.items())
        held: defaultdict[str, set[Hold]] = defaultdict(set)
        for key, _, target, until in moves:
            origin = counters[key]
            if not origin.is_new:
                counters[target[0]].add(origin, now, at=self._edition.at, until=until)
                if origin.held and until is None:
                    held[key].add(target)
        self._save(counters, {key for key, _, _, _ in moves}, held)

    def _save(self, counters: dict[str, LoadedCounter], origins: set[str], held: dict[str, set[Hold]]) -> None:
        save_counters(counter for key, counter in counters.items() if key not in origins)
        clear_counters(origins)
        if held:
            if self._holds is None:
                self._holds = find_holds(self._reservations)
            move_holds(held, self._holds)

    def _target(self, kind: LimitKind, scope: str, subject: str) -> Hold:
        """Return the counter to which that of the subject moves. Without subjects in common, it concerns them all."""
        if kind.scope != scope:
            subject = ALL if kind.scope == GLOBAL else EVERYONE
        return self._ledger.key(kind, subject), kind.window_seconds

    def _subjects(self, scope: str) -> Iterator[str]:
        prefix = self._ledger.prefix(scope, self._edition.number)
        last = ""
        for key in stored_keys(prefix):
            subject = key.removeprefix(prefix).rpartition("|")[0]
            if subject != last:
                yield subject
            last = subject
