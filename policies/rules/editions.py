"""Editions of a policy's counters: what a limit counts on from, after an edit has added it (docs/adr/0014).

An edit that adds a limit begins a new edition: all limits count in new rows, and those of the earlier edition stay as
they are. A limit reads both, so an edit writes no counters. A limit that an earlier edition does not have counts on
from limits that count the same: requests, or amounts in its currency. It takes those of a limit that concerns all its
requests, of the same scope if there is one, subject by subject. For the part of its window that these do not cover, it
takes the total over all subjects and charges it to each, because no record says which subject made which request, and
adds up the limits that concern some of its requests.

As a result each kind of limit includes, within its window, every request that concerns it and that any other kind has
counted.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from policies.rules.kinds import MAX_KINDS, LimitKind

GLOBAL = "global"

Chain = tuple[LimitKind, ...]
"""Kinds that concern the same requests. Each adds those that are too old for the kinds before it."""


class Part(NamedTuple):
    """A kind of an earlier edition from which a limit counts on. With `until`, only what was counted by then.

    If it `is_rest`, it is what the limit itself counted there before it was removed.
    """

    kind: LimitKind
    until: datetime | None
    is_rest: bool = False


class Edition(NamedTuple):
    """An edition that has ended. Its counters matter `until` the longest window has passed since it ended, which was
    `at`. Those of the `charged` kinds include what an edit before charged to every subject.
    """

    number: int
    kinds: frozenset[LimitKind]
    charged: frozenset[LimitKind]
    at: datetime
    until: datetime

    def parts(self, kind: LimitKind) -> tuple[Part, ...]:
        """Return what the kind counts on from. It can include a total that the edition does not have (`missing`)."""
        return _parts(self, kind)

    def missing(self, kind: LimitKind) -> set[LimitKind]:
        """Return the totals that must be known first, as kinds of the scope "global"."""
        return {part.kind for part in self.parts(kind) if not part.is_rest} - self.kinds

    def source(self, part: Part) -> LimitKind:
        """Return the kind of the part or, for a total that is missing, one whose counters add up to it."""
        if part.is_rest or part.kind in self.kinds:
            return part.kind
        return min((each for each in self.kinds if each._replace(scope=GLOBAL) == part.kind), key=self._rank)

    def _rank(self, kind: LimitKind) -> tuple[bool, LimitKind]:
        return kind in self.charged, kind

    def charges(self, kind: LimitKind) -> bool:
        """Return whether the kind counts on from what does not say which subject it was."""
        return any(part.kind.scope != kind.scope or part.kind in self.charged for part in self.parts(kind))


@lru_cache(MAX_KINDS)
def _parts(edition: Edition, kind: LimitKind) -> tuple[Part, ...]:
    if kind in edition.kinds:
        return (Part(kind, None),)
    related = _related(edition.kinds, kind)
    whole = _chain(kind, [other for other in related if other.covers(kind)])
    parts = [*_dated(whole, edition.at, None)]
    if _longest(whole) < kind.window_seconds:
        known_from = edition.at - timedelta(seconds=_longest(whole)) if whole else None
        for share in _shares(kind, related):
            parts += _dated(share, edition.at, known_from)
        parts.append(Part(kind, known_from, is_rest=True))
    return tuple(parts)


def _related(kinds: Collection[LimitKind], kind: LimitKind) -> set[LimitKind]:
    """Return the kinds that count some of the kind's requests. In place of those of other scopes, their totals."""
    counting = [other for other in kinds if other.currency == kind.currency and other.overlaps(kind)]
    usable = {other for other in counting if other.scope in (kind.scope, GLOBAL)}
    totals = {other._replace(scope=GLOBAL) for other in counting if other not in usable}
    return usable | {total for total in totals if not any(remembers(other, total) for other in usable)}


def _dated(chain: Chain, at: datetime, until: datetime | None) -> Iterator[Part]:
    """Yield the parts: each has the requests that may have been made before those that the ones before it have."""
    for kind in chain:
        yield Part(kind, until)
        until = min(until or at, at - timedelta(seconds=kind.window_seconds))


def _chain(kind: LimitKind, among: Collection[LimitKind]) -> Chain:
    """Return the kinds to start from: each with the nearest window, followed by another one if that covers more.

    A kind of the same scope comes first because its counters are exact for each subject, and of those one with the same
    actions.
    """
    found: Chain = ()
    for is_preferred in (
        lambda other: other.scope == kind.scope and other.actions == kind.actions,
        lambda other: other.scope == kind.scope,
        lambda other: other.actions == kind.actions,
        lambda other: True,
    ):
        longest = _longest(found)
        if longest < kind.window_seconds:
            found += _nearest(kind, [each for each in among if is_preferred(each) and each.window_seconds > longest])
    return found


def _shares(kind: LimitKind, related: Collection[LimitKind]) -> Sequence[Chain]:
    """Return what kinds that concern only some of a kind's requests must add."""
    partial = [other for other in related if not other.covers(kind)]
    groups: defaultdict[tuple[str, ...], list[LimitKind]] = defaultdict(list)
    for each in sorted(partial):
        if not any(other.actions != each.actions and remembers(other, each) for other in partial):
            groups[each.actions].append(each)
    return [_chain(kind, group) for group in groups.values()]


def _nearest(kind: LimitKind, among: Collection[LimitKind]) -> Chain:
    """Return the kind with the shortest window that covers this one's, otherwise the longest. Empty if `among` is."""
    covering = [other for other in among if other.window_seconds >= kind.window_seconds]
    return (min(covering),) if covering else tuple(sorted(among)[-1:])


def _longest(kinds: Collection[LimitKind]) -> int:
    return max((kind.window_seconds for kind in kinds), default=0)


def remembers(kind: LimitKind, other: LimitKind) -> bool:
    """Return whether the kind's counters include all that the other one's do, subject by subject."""
    is_same = (kind.scope, kind.currency) == (other.scope, other.currency)
    return is_same and kind.window_seconds >= other.window_seconds and kind.covers(other)
