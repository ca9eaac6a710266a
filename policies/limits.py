"""How an edit that changes a policy's limits carries over its counters (docs/adr/0014).

An added limit starts from the counters of an existing limit of the same scope, subject by subject. For the part of its
window that these do not cover, it takes the total of a limit of another scope and charges it to every subject, because
no record says which subject made which request. A removed limit keeps counting until its window has passed, so that an
edit that restores it finds complete counters.

As a result each kind of limit includes, within its window, every request that any other kind has counted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core import clock
from limits.counters import load_counters, put_counters
from limits.sliding_window import LoadedCounter
from policies.rules import InvalidRules, parse_rules
from policies.rules.ledger import EVERYONE, Ledger, LimitKind
from policies.rules.rate_limit import RateLimit

# An edit waits some milliseconds for the decisions in progress, and their requests must not be dropped early.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The ledger after an edit, and for each added kind the kinds whose counters it starts from, in order."""

    ledger: Ledger
    sources: Mapping[LimitKind, tuple[LimitKind, ...]]


def limit_kinds(raw_rules: Any) -> frozenset[LimitKind]:
    """Return the kinds of the limits among stored rules. Rules that cannot be read are skipped."""
    items = raw_rules if isinstance(raw_rules, list) else []
    return frozenset(kind for item in items for kind in _kinds_of(item))


def plan_limits(
    ledger: Ledger, before: Collection[LimitKind], after: Collection[LimitKind], now: datetime
) -> LimitPlan:
    """Plan what happens to the counters when an edit replaces the limits `before` by the limits `after`."""
    retired = {kind: until for kind, until in ledger.retired.items() if now < until}
    charged = {kind: until for kind, until in ledger.charged.items() if now < until}
    known = {*before, *retired}
    sources = {kind: _sources(kind, known) for kind in after if kind not in known} if known else {}
    for kind, origins in sources.items():
        if any(origin.scope != kind.scope or origin in charged for origin in origins):
            charged[kind] = _counts_until(kind, now)
    kept = _retire(known, after, retired, now)
    charged = {kind: until for kind, until in charged.items() if kind in after or kind in kept}
    return LimitPlan(Ledger(ledger.policy_id, kept, charged), sources)


def carry_counters(plan: LimitPlan) -> None:
    """Fill the counters of the added limits.

    Danger: call this in the edit's transaction, after `hold_decisions`. The count of a concurrent decision would
    otherwise be lost.
    """
    now = clock.now()
    for kind, origins in plan.sources.items():
        put_counters(_filled(plan.ledger, kind, origins, now).values())


def _filled(
    ledger: Ledger, kind: LimitKind, origins: Sequence[LimitKind], now: datetime
) -> Mapping[str, LoadedCounter]:
    """Return the counters of an added kind by subject.

    Each origin adds the requests that are too old for the origins before it. The last origin is the kind itself, whose
    rows may still hold what it counted before it was removed.
    """
    filled: dict[str, LoadedCounter] = {}
    known_from: datetime | None = None
    for origin in (*origins, kind):
        prefix = ledger.key(origin, "")
        for counter in load_counters(prefix, origin.window_seconds):
            subject = counter.key.removeprefix(prefix) if origin.scope == kind.scope else EVERYONE
            own = filled.setdefault(subject, LoadedCounter(ledger.key(kind, subject), kind.window_seconds))
            own.add(counter, now, until=known_from)
        if origin.window_seconds >= kind.window_seconds:
            break
        known_from = now - timedelta(seconds=origin.window_seconds)
    if kind not in ledger.charged:
        filled[EVERYONE] = LoadedCounter(ledger.key(kind, EVERYONE), kind.window_seconds)
    return filled


def _sources(kind: LimitKind, known: Collection[LimitKind]) -> tuple[LimitKind, ...]:
    """Return the kind of the same scope with the nearest window, followed by one of another scope if that covers more.

    A kind of the same scope comes first because its counters are exact for each subject.
    """
    same_scope = _nearest(kind, [other for other in known if other.scope == kind.scope])
    longest = max((other.window_seconds for other in same_scope), default=0)
    if longest >= kind.window_seconds:
        return same_scope
    others = [other for other in known if other.scope != kind.scope and other.window_seconds > longest]
    return same_scope + _nearest(kind, others)


def _nearest(kind: LimitKind, among: Collection[LimitKind]) -> tuple[LimitKind, ...]:
    """Return the kind with the shortest window that covers this one's, otherwise the longest. Empty if `among` is."""
    covering = [other for other in among if other.window_seconds >= kind.window_seconds]
    return (min(covering),) if covering else tuple(sorted(among)[-1:])


def _retire(
    known: Collection[LimitKind], after: Collection[LimitKind], retired: Mapping[LimitKind, datetime], now: datetime
) -> dict[LimitKind, datetime]:
    """Return the removed kinds that must keep counting, and until when: the longest window per scope, if not in force.

    It replaces the shorter windows that are removed or retired, so it counts until the last of them has passed.
    """
    longest = {kind.scope: kind for kind in sorted({*known, *after})}
    removed = {kind: retired.get(kind) or _counts_until(kind, now) for kind in known if kind not in after}
    return {
        kind: max(until for other, until in removed.items() if other.scope == scope)
        for scope, kind in longest.items()
        if kind not in after
    }


def _counts_until(kind: LimitKind, now: datetime) -> datetime:
    """Return when a request counted at `now` has left the window: after 65/64 of it."""
    return now + timedelta(seconds=kind.window_seconds) * 65 / 64 + SLACK


def _kinds_of(item: Any) -> Sequence[LimitKind]:
    try:
        (rule,) = parse_rules([item])
    except InvalidRules:
        return ()
    return (rule.kind,) if isinstance(rule, RateLimit) else ()
