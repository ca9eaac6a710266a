"""What a user's limits have counted, preserved when the user changes them (docs/adr/0014).

The counters belong to the connection. A limit with another window starts from those of the limits before it, so that a
narrowing or a new consent grants no new quota.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from consent.models import Consent
from consent.terms import Limits, Terms
from policies.limits import LimitPlan, carry_counters, limit_kinds, plan_limits
from policies.rules.ledger import CONNECTION_SCOPE, LimitKind, connection_ledger


def plan_counts(consent: Consent, before: Limits, now: datetime) -> Callable[[], None] | None:
    """Return what fills the counters of limits that the consent did not have `before`, or None if none must be.

    Danger: call the result in the transaction that changes the limits, after `hold_decisions`.
    """
    limits = Terms.read(consent.terms).limits
    plans = [_plan(consent, scope, before.get(scope, ()), rules, now) for scope, rules in limits.items()]
    return partial(_carry, plans) if any(plan.sources for plan in plans) else None


def earlier_limits(consent: Consent) -> Limits:
    """Return the limits of the connection's last consent that had any. It may have ended, but its counters remain."""
    rows = Consent.objects.filter(user=consent.user_id, agent=consent.agent_id, terms__has_key="limits")
    last = rows.exclude(pk=consent.pk).order_by("-decided_at").first()
    return Terms.read(last.terms).limits if last else {}


def _plan(
    consent: Consent,
    scope: str,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    now: datetime,
) -> LimitPlan:
    ledger = connection_ledger(consent.agent_id, str(consent.user_id), scope)
    return plan_limits(ledger, _kinds(before), _kinds(after), now)


def _kinds(rules: Sequence[Mapping[str, Any]]) -> frozenset[LimitKind]:
    return frozenset(kind._replace(scope=CONNECTION_SCOPE) for kind in limit_kinds(list(rules)))


def _carry(plans: Sequence[LimitPlan]) -> None:
    for plan in plans:
        carry_counters(plan)
