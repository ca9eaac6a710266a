"""What happens to a policy's counters when an edit changes its limits (docs/adr/0014).

An added limit starts from what is known: the counters of a limit of the same scope, one by one, and of what these are
too short to know, the total of another scope, charged to every subject, because nothing says who made which call. A
removed limit goes on counting until its window has passed, so that putting it back finds its counters complete.

Each kind of limit thus knows, within its window, every call that any other kind knows.
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

# An edit waits for the decisions under way, which takes milliseconds; their calls must not be forgotten early.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The ledger after an edit, and for each added kind the known ones whose counters it starts from, in turn."""

    ledger: Ledger
    sources: Mapping[LimitKind, tuple[LimitKind, ...]]


def limit_kinds(raw_rules: Any) -> frozenset[LimitKind]:
    """Return the kinds of the limits among stored rules. A rule that cannot be read has none."""
    items = raw_rules if isinstance(raw_rules, list) else []
    return frozenset(kind for item in items for kind in _kinds_of(item))


def plan_limits(
    ledger: Ledger, before: Collection[LimitKind], after: Collection[LimitKind], now: datetime
) -> LimitPlan:
    """Return what an edit from the limits `before` to those `after` does to the counters."""
    retired = {kind: until for kind, until in ledger.retired.items() if now < until}
    charged = {kind: until for kind, until in ledger.charged.items() if now < until}
    known = {*before, *retired}
    sources = {kind: _sources(kind, known) for kind in after if kind not in known} if known else {}
    for kind, origins in sources.items():
        if any(origin.scope != kind.scope or origin in charged for origin in origins):
            charged[kind] = _runs_out(kind, now)
    kept = _retire(known, after, retired, now)
    charged = {kind: until for kind, until in charged.items() if kind in after or kind in kept}
    return LimitPlan(Ledger(ledger.policy_id, kept, charged), sources)


def carry_counters(plan: LimitPlan) -> None:
    """Fill the counters of the added limits.

    Danger: call it in the edit's transaction, after `hold_decisions`. A decision that counts meanwhile would be lost.
    """
    now = clock.now()
    for kind, origins in plan.sources.items():
        put_counters(_filled(plan.ledger, kind, origins, now).values())


def _filled(
    ledger: Ledger, kind: LimitKind, origins: Sequence[LimitKind], now: datetime
) -> Mapping[str, LoadedCounter]:
    """Return the counters of an added kind by subject. Each origin adds the calls that are too old for those before it.

    The last is the kind's own rows, which may still hold what it counted before it was removed.
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
    """Return the known kind of the same scope that knows most exactly what counts for `kind`, and then, if another
    scope knows more, that.
    """
    alike = _nearest(kind, [each for each in known if each.scope == kind.scope])
    longest = max((each.window_seconds for each in alike), default=0)
    if longest >= kind.window_seconds:
        return alike
    others = [each for each in known if each.scope != kind.scope and each.window_seconds > longest]
    return alike + _nearest(kind, others)


def _nearest(kind: LimitKind, among: Collection[LimitKind]) -> tuple[LimitKind, ...]:
    """Return the shortest window that covers the kind's, or else the longest. Nothing if there is none."""
    covering = [each for each in among if each.window_seconds >= kind.window_seconds]
    return (min(covering),) if covering else tuple(sorted(among)[-1:])


def _retire(
    known: Collection[LimitKind], after: Collection[LimitKind], retired: Mapping[LimitKind, datetime], now: datetime
) -> dict[LimitKind, datetime]:
    """Return what must go on counting, and until when: of each scope the longest window, unless it is in force.

    It stands in for the shorter ones that are removed or retired, so it counts until the last of them runs out.
    """
    longest = {kind.scope: kind for kind in sorted({*known, *after})}
    removed = {kind: retired.get(kind) or _runs_out(kind, now) for kind in known if kind not in after}
    return {
        kind: max(until for each, until in removed.items() if each.scope == scope)
        for scope, kind in longest.items()
        if kind not in after
    }


def _runs_out(kind: LimitKind, now: datetime) -> datetime:
    """Return when nothing counts any more that was counted until `now`: after 65/64 of the window."""
    return now + timedelta(seconds=kind.window_seconds) * 65 / 64 + SLACK


def _kinds_of(item: Any) -> Sequence[LimitKind]:
    try:
        (rule,) = parse_rules([item])
    except InvalidRules:
        return ()
    return (rule.kind,) if isinstance(rule, RateLimit) else ()
