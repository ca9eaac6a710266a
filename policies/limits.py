"""What happens to a policy's counters when an edit changes its limits (docs/adr/0014).

An added limit starts from what is known: the counters of a limit of the same scope, one by one, or else the total of
another scope, charged to every subject, because nobody knows who made which call. A removed limit goes on counting
until its window has passed, so that putting it back finds its counters complete.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core import clock
from core.counters import load_counters, put_counters
from core.sliding_window import LoadedCounter
from policies.rules import InvalidRules, parse_rules
from policies.rules.ledger import EVERYONE, Ledger, LimitKind
from policies.rules.rate_limit import RateLimit

# An edit waits for the decisions under way, which takes milliseconds; their calls must not be forgotten early.
SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The ledger after an edit, and for each added kind the known one whose counters it starts from."""

    ledger: Ledger
    sources: Mapping[LimitKind, LimitKind]


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
    sources = {kind: _source(kind, known) for kind in after if kind not in known} if known else {}
    for kind, source in sources.items():
        if kind.scope != source.scope or source in charged:
            charged[kind] = _runs_out(kind, now)
    kept = {kind: retired.get(kind) or _runs_out(kind, now) for kind in _to_retire(known, after)}
    charged = {kind: until for kind, until in charged.items() if kind in after or kind in kept}
    return LimitPlan(Ledger(ledger.policy_id, kept, charged), sources)


def carry_counters(plan: LimitPlan) -> None:
    """Fill the counters of the added limits.

    Danger: call it in the edit's transaction, after `hold_decisions`. A decision that counts meanwhile would be lost.
    """
    now = clock.now()
    for kind, source in plan.sources.items():
        _carry(plan.ledger, kind, source, now)


def _carry(ledger: Ledger, kind: LimitKind, source: LimitKind, now: datetime) -> None:
    everyone = LoadedCounter(ledger.key(kind, EVERYONE), kind.window_seconds)
    prefix, filled = ledger.key(source, ""), []
    for counter in load_counters(prefix, source.window_seconds):
        subject = counter.key.removeprefix(prefix)
        if kind.scope != source.scope or subject == EVERYONE:
            everyone.add(counter, now)
            continue
        own = LoadedCounter(ledger.key(kind, subject), kind.window_seconds)
        own.add(counter, now)
        filled.append(own)
    put_counters([*filled, everyone] if kind in ledger.charged else filled)


def _source(kind: LimitKind, known: Collection[LimitKind]) -> LimitKind:
    """Return the known kind that knows most exactly what counts for `kind`.

    That is the shortest window that covers the new one, or else the longest.
    """
    alike = [each for each in known if each.scope == kind.scope] or list(known)
    covering = [each for each in alike if each.window_seconds >= kind.window_seconds]
    return min(covering) if covering else max(alike)


def _to_retire(known: Collection[LimitKind], after: Collection[LimitKind]) -> list[LimitKind]:
    """Return what must go on counting: of each scope the longest window, unless one in force is longer still."""
    longest = {kind.scope: kind for kind in sorted({*known, *after})}
    return [kind for kind in longest.values() if kind not in after]


def _runs_out(kind: LimitKind, now: datetime) -> datetime:
    """Return when nothing counts any more that was counted until `now`: after 65/64 of the window."""
    return now + timedelta(seconds=kind.window_seconds) * 65 / 64 + SLACK


def _kinds_of(item: Any) -> Sequence[LimitKind]:
    try:
        (rule,) = parse_rules([item])
    except InvalidRules:
        return ()
    return (rule.kind,) if isinstance(rule, RateLimit) else ()
