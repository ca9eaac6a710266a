"""How an edit that changes a policy's limits carries over its counters (docs/adr/0014).

An added limit starts from the counters of existing limits that count the same: requests, or amounts in its currency. It
takes those of a limit that concerns all its requests, of the same scope if there is one, subject by subject. For the
part of its window that these do not cover, it takes the total of a limit of another scope and charges it to every
subject, because no record says which subject made which request, and adds up the limits that concern some of its
requests. A removed limit keeps counting until its window has passed, so that an edit that restores it finds complete
counters.

As a result each kind of limit includes, within its window, every request that concerns it and that any other kind has
counted.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from core import clock
from limits.counters import load_counters, put_counters
from limits.reservations import MAX_HOLD, Hold, extend_holds
from limits.sliding_window import LoadedCounter
from policies.rules import readable_rules
from policies.rules.ledger import EVERYONE, Ledger, LimitKind
from policies.rules.limiting import CountingRule

# An edit waits some milliseconds for the decisions in progress, and their requests must not be dropped early.
SLACK = timedelta(minutes=1)
# So many removed limits with actions are remembered apart. More would make each verify count in more rows.
MAX_RETIRED_WITH_ACTIONS = 12

Chain = tuple[LimitKind, ...]
"""Kinds that concern the same requests. Each adds those that are too old for the kinds before it."""


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The ledger after an edit, and for each kind to fill the kinds whose counters it starts from.

    Those in `sources` concern all its requests. Each chain of `shares` concerns some of them.
    """

    ledger: Ledger
    sources: Mapping[LimitKind, Chain]
    shares: Mapping[LimitKind, Sequence[Chain]] = field(default_factory=dict)


def limit_kinds(raw_rules: Any) -> frozenset[LimitKind]:
    """Return the kinds of the limits among stored rules. Rules that cannot be read are skipped."""
    return frozenset(rule.kind for rule in readable_rules(raw_rules) if isinstance(rule, CountingRule))


def plan_limits(
    ledger: Ledger, before: Collection[LimitKind], after: Collection[LimitKind], now: datetime
) -> LimitPlan:
    """Plan what happens to the counters when an edit replaces the limits `before` by the limits `after`."""
    retired = {kind: until for kind, until in ledger.retired.items() if now < until}
    charged = {kind: until for kind, until in ledger.charged.items() if now < until}
    known = {*before, *retired}
    kept = _merge(_retire(known, after, retired, now))
    sources: dict[LimitKind, Chain] = {}
    shares: dict[LimitKind, Sequence[Chain]] = {}
    for kind in sorted({*after, *kept} - known):
        related = [other for other in known if other.currency == kind.currency and other.overlaps(kind)]
        if related:
            sources[kind] = _chain(kind, [other for other in related if other.covers(kind)])
            shares[kind] = _shares(kind, related, sources[kind])
            if any(each.scope != kind.scope or each in charged for each in chain(sources[kind], *shares[kind])):
                charged[kind] = _counts_until(kind, now)
    charged = {kind: until for kind, until in charged.items() if kind in after or kind in kept}
    return LimitPlan(Ledger(ledger.policy_id, kept, charged), sources, shares)


def carry_counters(plan: LimitPlan) -> None:
    """Fill the counters of the added limits. What reservations hold, they hold in these counters, too.

    Danger: call this in the edit's transaction, after `hold_decisions`. The count of a concurrent decision would
    otherwise be lost.
    """
    now = clock.now()
    moved: defaultdict[str, set[Hold]] = defaultdict(set)
    for kind, origins in plan.sources.items():
        filling = _Filling(plan.ledger, kind, now, moved)
        filling.fill(origins, plan.shares.get(kind, ()))
        put_counters(filling.counters.values())
    extend_holds(moved)


class _Filling:
    """The counters of an added kind by subject, and in `moved` by origin those that took over what is held."""

    def __init__(self, ledger: Ledger, kind: LimitKind, now: datetime, moved: defaultdict[str, set[Hold]]) -> None:
        self._ledger, self._kind, self._now, self._moved = ledger, kind, now, moved
        self.counters: dict[str, LoadedCounter] = {}

    def fill(self, origins: Chain, shares: Sequence[Chain]) -> None:
        """Add what the origins have counted, and then what only the others can know.

        The last of them is the kind itself, whose rows may still hold what it counted before it was removed.
        """
        known_from = self._add_chain(origins, None)
        if _longest(origins) < self._kind.window_seconds:
            for share in shares:
                self._add_chain(share, known_from)
            self._add(self._kind, known_from)
        if self._kind not in self._ledger.charged:
            self.counters[EVERYONE] = self._new(EVERYONE)

    def _add_chain(self, origins: Chain, until: datetime | None) -> datetime | None:
        """Add the requests that may have been made by `until`. Return by when those were made that are missing."""
        for origin in origins:
            self._add(origin, until)
            until = min(until or self._now, self._now - timedelta(seconds=origin.window_seconds))
        return until

    def _add(self, origin: LimitKind, until: datetime | None) -> None:
        prefix = self._ledger.key(origin, "")
        for counter in load_counters(prefix, origin.window_seconds):
            subject = counter.key.removeprefix(prefix) if origin.scope == self._kind.scope else EVERYONE
            own = self.counters.setdefault(subject, self._new(subject))
            own.add(counter, self._now, until=until)
            if origin == self._kind and until is not None:
                own.add_held(counter)  # of reservations that expect it here
            if counter.held and until is None:
                self._moved[counter.key].add((own.key, own.window_seconds))

    def _new(self, subject: str) -> LoadedCounter:
        return LoadedCounter(self._ledger.key(self._kind, subject), self._kind.window_seconds)


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


def _shares(kind: LimitKind, related: Collection[LimitKind], origins: Chain) -> Sequence[Chain]:
    """Return what kinds that concern only some of a kind's requests must add, if `origins` do not cover its window."""
    if _longest(origins) >= kind.window_seconds:
        return ()
    partial = [other for other in related if not other.covers(kind)]
    groups: defaultdict[tuple[str, ...], list[LimitKind]] = defaultdict(list)
    for each in sorted(partial):
        if not any(other.actions != each.actions and _remembers(other, each) for other in partial):
            groups[each.actions].append(each)
    return [_chain(kind, group) for group in groups.values()]


def _nearest(kind: LimitKind, among: Collection[LimitKind]) -> Chain:
    """Return the kind with the shortest window that covers this one's, otherwise the longest. Empty if `among` is."""
    covering = [other for other in among if other.window_seconds >= kind.window_seconds]
    return (min(covering),) if covering else tuple(sorted(among)[-1:])


def _longest(kinds: Collection[LimitKind]) -> int:
    return max((kind.window_seconds for kind in kinds), default=0)


def _remembers(kind: LimitKind, other: LimitKind) -> bool:
    """Return whether the kind's counters include all that the other one's do, subject by subject."""
    is_same = (kind.scope, kind.currency) == (other.scope, other.currency)
    return is_same and kind.window_seconds >= other.window_seconds and kind.covers(other)


def _retire(
    known: Collection[LimitKind], after: Collection[LimitKind], retired: Mapping[LimitKind, datetime], now: datetime
) -> dict[LimitKind, datetime]:
    """Return the removed kinds that must keep counting, and until when: those that no other kind remembers.

    Each replaces those that it remembers and that are removed or retired, so it counts until the last of them has
    passed.
    """
    removed = {kind: retired.get(kind) or _counts_until(kind, now) for kind in known if kind not in after}
    everything = {*known, *after}
    return {
        kind: max(until for other, until in removed.items() if _remembers(kind, other))
        for kind in removed
        if not any(other != kind and _remembers(other, kind) for other in everything)
    }


def _merge(kept: Mapping[LimitKind, datetime]) -> dict[LimitKind, datetime]:
    """Return the retired kinds, with one for all actions in place of those with actions if there are too many."""
    if sum(bool(kind.actions) for kind in kept) <= MAX_RETIRED_WITH_ACTIONS:
        return dict(kept)
    groups: defaultdict[tuple[str, str], list[LimitKind]] = defaultdict(list)
    for kind in kept:
        groups[kind.scope, kind.currency].append(kind)
    return {max(group)._replace(actions=()): max(kept[kind] for kind in group) for group in groups.values()}


def _counts_until(kind: LimitKind, now: datetime) -> datetime:
    """Return when a request counted at `now` has left the window: after 65/64 of it.

    An amount that is held at `now` counts from when it is committed.
    """
    held = MAX_HOLD if kind.currency else timedelta()
    return now + timedelta(seconds=kind.window_seconds) * 65 / 64 + held + SLACK
