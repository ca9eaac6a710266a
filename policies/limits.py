"""How an edit that changes a policy's limits keeps what they have counted (docs/adr/0014).

An edit that adds a limit begins a new edition of the policy's counters (`policies.rules.editions`). A removed limit
keeps counting until its window has passed, so that an edit that restores it finds complete counters.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from limits.reservations import MAX_HOLD
from policies.rules import readable_rules
from policies.rules.editions import Edition, remembers
from policies.rules.kinds import LimitKind
from policies.rules.ledger import Ledger
from policies.rules.limiting import CountingRule

# An edit waits some milliseconds for the decisions in progress, and their requests must not be dropped early.
SLACK = timedelta(minutes=1)
# How many removed limits with actions are remembered separately. More would make each verify count in more rows.
MAX_RETIRED_WITH_ACTIONS = 12
# Each makes a limit read at least one more row. More are merged into the present one (`policies.merging`).
MAX_EARLIER = 3


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The ledger after an edit.

    Before it, the counters must know the `totals`, and `merges_first` says whether earlier editions must be merged.
    """

    ledger: Ledger
    totals: frozenset[LimitKind] = frozenset()
    merges_first: bool = False
    begins_edition: bool = False

    @property
    def is_ready(self) -> bool:
        return not self.totals and not self.merges_first

    def at(self, now: datetime) -> Ledger:
        """Return the ledger if the edit is made at this time, when no decision is in progress."""
        if not self.ledger.earlier or not self.begins_edition:
            return self.ledger
        *others, last = self.ledger.earlier
        return replace(self.ledger, earlier=(*others, last._replace(at=now)))


def limit_kinds(raw_rules: Any) -> frozenset[LimitKind]:
    """Return the kinds of the limits among stored rules. Rules that cannot be read are skipped."""
    return frozenset(rule.kind for rule in readable_rules(raw_rules) if isinstance(rule, CountingRule))


def plan_limits(
    ledger: Ledger, before: Collection[LimitKind], after: Collection[LimitKind], now: datetime
) -> LimitPlan:
    """Plan what happens to the counters when an edit replaces the limits `before` by the limits `after`."""
    has_counted = bool(before or ledger.retired)
    ledger = _current(ledger, now)
    known = {*before, *ledger.retired}
    kept = _merge(_retire(known, after, ledger.retired, now))
    return _plan(ledger, known, after, kept, now, has_counted=has_counted)


def plan_totals(ledger: Ledger, before: Collection[LimitKind], totals: Collection[LimitKind], now: datetime) -> Ledger:
    """Return the ledger that counts the totals, too. They are complete once its earlier editions are merged."""
    ledger = _current(ledger, now)
    known = {*before, *ledger.retired}
    kept = {**ledger.retired, **{kind: _counts_until(kind, now) for kind in totals if kind not in known}}
    return _plan(ledger, known, before, kept, now, has_counted=True).ledger


def _current(ledger: Ledger, now: datetime) -> Ledger:
    """Return the ledger without what no longer matters."""
    return replace(
        ledger,
        retired={kind: until for kind, until in ledger.retired.items() if now < until},
        charged={kind: until for kind, until in ledger.charged.items() if now < until},
        earlier=tuple(each for each in ledger.earlier if now < each.until),
    )


def _plan(
    ledger: Ledger,
    known: Collection[LimitKind],
    after: Collection[LimitKind],
    kept: Mapping[LimitKind, datetime],
    now: datetime,
    *,
    has_counted: bool,
) -> LimitPlan:
    """Return the plan for an edit after which those kinds are in force, and the `kept` ones go on counting."""
    live = {*after, *kept}
    added = live - set(known)
    charged = {kind: until for kind, until in ledger.charged.items() if kind in live}
    is_partial = any(each.missing(kind) for each in ledger.earlier for kind in {*after, *added})
    if not added:
        return LimitPlan(replace(ledger, retired=kept, charged=charged), merges_first=is_partial)
    until = max(_counts_until(kind, now) for kind in live)
    earlier = tuple(each._replace(until=max(each.until, until)) for each in ledger.earlier)
    totals: set[LimitKind] = set()
    if has_counted:
        ended = Edition(ledger.edition, frozenset(known), frozenset(ledger.charged), now, until)
        totals = set().union(*(ended.missing(kind) for kind in added))
        earlier = (*earlier, ended)
    charged |= {kind: _counts_until(kind, now) for kind in sorted(added) if any(each.charges(kind) for each in earlier)}
    is_late = len(ledger.earlier) >= MAX_EARLIER
    edition = ledger.edition + has_counted
    begun = replace(ledger, retired=kept, charged=charged, edition=edition, earlier=earlier)
    return LimitPlan(begun, frozenset(totals), is_late or is_partial, begins_edition=has_counted)


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
        kind: max(until for other, until in removed.items() if remembers(kind, other))
        for kind in removed
        if not any(other != kind and remembers(other, kind) for other in everything)
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
