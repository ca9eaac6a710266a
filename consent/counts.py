"""What a user's limits have counted, preserved when the user changes them (docs/adr/0014).

The counters belong to the connection. A limit with another window starts from those of the limits before it, so that a
narrowing or a new consent grants no new quota. Limits that the user removes go on counting until their windows have
passed, without refusing: the terms have them as `history`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from accounts.models import User
from consent.models import Consent
from consent.terms import Terms
from policies.limits import LimitPlan, carry_counters, limit_kinds, plan_limits
from policies.rules.ledger import CONNECTION_SCOPE, LimitKind, connection_ledger


class CountPlan(NamedTuple):
    """The terms with their new history, and what fills the counters of added limits, or None if none must be filled.

    Danger: call `carry` in the transaction that stores the terms, after `hold_decisions`.
    """

    terms: Terms
    carry: Callable[[], None] | None


def plan_counts(agent_id: str, user_id: str, before: Terms, after: Terms, now: datetime) -> CountPlan:
    """Plan what happens to the counters when terms of a connection replace those before."""
    plans = {}
    for scope in sorted({*before.limits, *before.history, *after.limits}):
        ledger = connection_ledger(agent_id, user_id, scope, before.history.get(scope, ()))
        plans[scope] = plan_limits(ledger, _kinds(before, scope), _kinds(after, scope), now)
    history = {scope: plan.ledger.stored()["retired"] for scope, plan in plans.items() if plan.ledger.retired}
    must_carry = any(plan.sources for plan in plans.values())
    return CountPlan(replace(after, history=history), partial(_carry, plans) if must_carry else None)


def last_terms(consent: Consent, user: User) -> Terms:
    """Return the terms of the connection's last consent before this one. It has ended, but its counters remain."""
    granted = Consent.objects.filter(user=user, agent=consent.agent_id, decided_at__isnull=False)
    last = granted.exclude(pk=consent.pk).exclude(status=Consent.Status.DENIED).order_by("-decided_at").first()
    return Terms.read(last.terms) if last else Terms()


def _kinds(terms: Terms, scope: str) -> Collection[LimitKind]:
    return frozenset(kind._replace(scope=CONNECTION_SCOPE) for kind in limit_kinds(list(terms.limits.get(scope, ()))))


def _carry(plans: Mapping[str, LimitPlan]) -> None:
    for plan in plans.values():
        carry_counters(plan)
