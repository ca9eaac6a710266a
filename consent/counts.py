"""What a user's limits have counted, preserved when the user changes them (docs/adr/0014).

The counters belong to the connection. A limit with another window starts from those of the limits before it, so that a
narrowing or a new consent grants no new quota. Limits that the user removes go on counting until their windows have
passed, without refusing: the terms have them as `history`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from accounts.models import User
from consent.models import Consent
from consent.terms import Terms
from core import clock
from limits.models import Reservation
from policies.limits import LimitPlan, limit_kinds, plan_limits
from policies.merging import merge_editions
from policies.rules.kinds import LimitKind
from policies.rules.ledger import CONNECTION_SCOPE, connection_ledger


class CountPlan(NamedTuple):
    """The terms with their new history, and what fills the counters of added limits, or None if none must be filled.

    Danger: call `carry` in the transaction that stores the terms, after `hold_decisions`.
    """

    terms: Terms
    carry: Callable[[], None] | None


def plan_counts(agent_id: str, user_id: str, before: Terms, after: Terms, now: datetime) -> CountPlan:
    """Plan what happens to the counters when terms of a connection replace those before."""
    plans, live = {}, {}
    for scope in sorted({*before.limits, *before.history, *after.limits}):
        ledger = connection_ledger(agent_id, user_id, scope, before.history.get(scope))
        wanted = _kinds(after, scope)
        plans[scope] = plan = plan_limits(ledger, _kinds(before, scope), wanted, now)
        if plan.begins_edition:
            live[scope] = {*wanted, *plan.ledger.retired}
    history = {scope: _stored(plan) for scope, plan in plans.items() if plan.ledger.retired or plan.ledger.edition}
    return CountPlan(replace(after, history=history), partial(_carry, user_id, plans, live) if live else None)


def last_terms(consent: Consent, user: User) -> Terms:
    """Return the terms of the connection's last consent before this one. It has ended, but its counters remain."""
    granted = Consent.objects.filter(user=user, agent=consent.agent_id, decided_at__isnull=False)
    last = granted.exclude(pk=consent.pk).exclude(status=Consent.Status.DENIED).order_by("-decided_at").first()
    return Terms.read(last.terms) if last else Terms()


def _kinds(terms: Terms, scope: str) -> Collection[LimitKind]:
    return frozenset(kind._replace(scope=CONNECTION_SCOPE) for kind in limit_kinds(list(terms.limits.get(scope, ()))))


def _stored(plan: LimitPlan) -> Mapping[str, Any]:
    """Return the ledger to store. Its earlier edition is merged at once, because it has the counters of one user."""
    stored = plan.ledger.stored()
    return {"edition": stored["edition"], "retired": stored["retired"]}


def _carry(user_id: str, plans: Mapping[str, LimitPlan], live: Mapping[str, Collection[LimitKind]]) -> None:
    for scope, kinds in live.items():
        merge_editions(plans[scope].at(clock.now()), kinds, Reservation.objects.filter(user_id=user_id))
