"""The steps of an edit that changes the limits of a policy. None of them stalls decisions for long.

Most edits only begin a new edition (`policies.limits`). Some need a step before: one that needs the total over all
subjects lets decisions count it from now on, and all merge the earlier editions if there are too many.
"""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

from core import clock
from core.errors import Conflict
from core.locks import hold_decisions, revocation
from limits.counters import keep_counters
from limits.models import Reservation
from policies.flows import Actions, carried_flows, guarded_actions
from policies.limits import LimitPlan, limit_kinds, plan_limits, plan_totals
from policies.merging import merge_editions
from policies.models import Policy
from policies.rules.ledger import Ledger

# How long one request merges. What it has done remains done.
MERGE_SECONDS = 20.0
# Of different organizations at the same time, in one process. Pages need the other threads.
MAX_MERGES = 3

MERGING = gettext_noop("The counts of earlier changes are still being merged. Try again in a minute.")

_merging: set[str] = set()
_guard = threading.Lock()


class LimitsNotReady(Exception):
    """The counters must be prepared before this edit."""


def plan_edit(policy: Policy, rules: Any) -> LimitPlan:
    """Return what happens to the counters of a locked policy. Raises `LimitsNotReady`."""
    plan = _plan(policy, rules)
    if not plan.is_ready:
        raise LimitsNotReady
    return plan


def store_ledger(policy: Policy, plan: LimitPlan, guards: Collection[Actions] = ()) -> None:
    """Store the ledger of the plan. Call it last in the revocation, because the edition ends when decisions wait.

    `guards` are those against data flows that the policy had before the edit. Raises `Conflict` if these were changed
    too often.
    """
    after = guarded_actions(policy.rules)
    if plan.begins_edition:
        _keep(plan.ledger)
    if plan.begins_edition or not after.issubset(guards):
        hold_decisions()
    now = clock.now()
    ledger = plan.at(now)
    _store(policy, replace(ledger, flows=carried_flows(ledger.flows, guards, after, now)))


def prepare_limits(policy_id: str, rules: Any) -> None:
    """Prepare the counters for an edit to these rules. Raises `Conflict` if there is more to do than time."""
    deadline = time.monotonic() + MERGE_SECONDS
    with revocation():
        policy = _locked(policy_id)
        if policy is None:
            return
        plan = _plan(policy, rules)
        if plan.totals:
            _begin_totals(policy, plan)
    ledger = Ledger.read(policy.id, policy.limit_history)
    held = Reservation.objects.filter(
        Q(organization_id=policy.organization_id) | Q(service_organization_id=policy.organization_id)
    )
    with _merge_slot(policy.organization_id):
        if not merge_editions(ledger, {*limit_kinds(policy.rules), *ledger.retired}, held, deadline):
            raise Conflict(MERGING)
    _forget(policy.id, {each.number for each in ledger.earlier})


@contextmanager
def _merge_slot(organization_id: str) -> Iterator[None]:
    """Keep other merges of the organization out, and those of many. Raises `Conflict`, because they take long."""
    with _guard:
        if organization_id in _merging or len(_merging) >= MAX_MERGES:
            raise Conflict(MERGING)
        _merging.add(organization_id)
    try:
        yield
    finally:
        with _guard:
            _merging.discard(organization_id)


def _plan(policy: Policy, rules: Any) -> LimitPlan:
    ledger = Ledger.read(policy.id, policy.limit_history)
    return plan_limits(ledger, limit_kinds(policy.rules), limit_kinds(rules), clock.now())


def _begin_totals(policy: Policy, plan: LimitPlan) -> None:
    """Let decisions count the missing totals. What was counted before is added when the editions are merged."""
    ledger = Ledger.read(policy.id, policy.limit_history)
    counting = plan_totals(ledger, limit_kinds(policy.rules), plan.totals, clock.now())
    store_ledger(policy, LimitPlan(counting, begins_edition=True), guarded_actions(policy.rules))


def _forget(policy_id: str, numbers: Collection[int]) -> None:
    """Stop reading editions that are merged, so empty. No decision must wait for this."""
    with transaction.atomic():
        policy = _locked(policy_id)
        if policy is not None:
            ledger = Ledger.read(policy.id, policy.limit_history)
            rest = tuple(each for each in ledger.earlier if each.number not in numbers)
            _store(policy, replace(ledger, earlier=rest))


def _locked(policy_id: str) -> Policy | None:
    found: Policy | None = Policy.objects.select_for_update(of=("self",)).filter(pk=policy_id).first()
    return found


def _keep(ledger: Ledger) -> None:
    if ledger.earlier:
        keep_counters(ledger.policy_id, ledger.edition, max(each.until for each in ledger.earlier))


def _store(policy: Policy, ledger: Ledger) -> None:
    stored = ledger.stored()
    if stored != policy.limit_history:
        policy.limit_history = stored
        policy.save(update_fields=["limit_history"])
