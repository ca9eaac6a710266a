"""End approvals that their connection no longer covers, or whose delegation has ended.

Danger: a narrowing changes only pending requests and standing approvals. Decisions change the others while they hold
the lock that a narrowing takes last.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.dispatch import receiver

from approvals.models import Approval
from approvals.records import draft_approval, draft_expiry
from audit.events import Event, Outcome
from audit.services import append
from consent.models import Consent
from consent.signals import consent_narrowed
from consent.terms import Terms
from core import clock
from core.actor import Actor
from core.sweeps import BATCH

Status = Approval.Status


@receiver(consent_narrowed)
def end_approvals(*, consent: Consent, before: Terms, now: datetime, **kwargs: Any) -> None:
    """End what the narrowed consent no longer covers: requests for scopes that it lost, and approvals for a time.

    An approval for a time ends if one of its scopes is removed or bounded differently than `before`, or if a guard that
    it answered is. Nothing outlives the connection.
    """
    safe = Approval.objects.filter(Q(status=Status.PENDING) | Q(status=Status.APPROVED, is_standing=True))
    rows = safe.filter(consent=consent, expires_at__gt=now)
    after = Terms.read(consent.terms)
    ended = [approval for approval in rows.order_by("pk") if _is_ended(approval, consent, before, after)]
    gone = rows.filter(pk__in=[approval.pk for approval in ended])
    gone.update(status=Status.EXPIRED, expires_at=now)
    rows.filter(expires_at__gt=consent.expires_at).update(expires_at=consent.expires_at)
    append([draft_expiry(approval) for approval in ended], at=now)


def live_handed_on(consent_id: str, now: datetime) -> list[Approval]:
    """Lock and return the approvals of a connection for calls that were handed on and that have not ended.

    Those that their user is deciding now are left out: nothing waits for a lock after the decisions.
    """
    live = Approval.objects.filter(consent=consent_id, status__in=[Status.PENDING, Status.APPROVED], expires_at__gt=now)
    return list(live.filter(chain__isnull=False).select_for_update(of=("self",), skip_locked=True).order_by("pk"))


def end_these(approvals: Sequence[Approval], now: datetime) -> None:
    """End approvals that are locked."""
    Approval.objects.filter(pk__in=[one.pk for one in approvals]).update(status=Status.EXPIRED, expires_at=now)
    append([draft_expiry(one) for one in approvals], at=now)


def end_all_approvals(*, actor: Actor, reason: str) -> int:
    """End all pending requests and all approvals that can still be used. Return the number ended.

    Danger: call this only after all tokens have ended. Otherwise decisions change the same approvals.
    """
    ended = 0
    while number := _end_batch(actor, reason):
        ended += number
    return ended


@transaction.atomic
def _end_batch(actor: Actor, reason: str) -> int:
    now = clock.now()
    live = Approval.objects.filter(status__in=[Status.PENDING, Status.APPROVED], expires_at__gt=now).order_by("pk")
    approvals = list(live.select_for_update(of=("self",))[:BATCH])
    pks = [approval.pk for approval in approvals]
    Approval.objects.filter(pk__in=pks).update(status=Status.EXPIRED, expires_at=now)
    facts = {"outcome": Outcome.DENIED, "metadata": {"reason": reason}}
    append([draft_approval(Event.APPROVAL_EXPIRED, actor=actor, approval=one, **facts) for one in approvals], at=now)
    return len(pks)


def _is_ended(approval: Approval, consent: Consent, before: Terms, after: Terms) -> bool:
    concerned = {*approval.scopes, *approval.asked_scopes, approval.action} - {""}
    if not {*approval.scopes} <= {*consent.granted_scopes}:
        return True
    if not approval.is_standing:
        return False
    return _differ(before, after, concerned) or (approval.asked_by_rule != "" and before.guards != after.guards)


def _differ(before: Terms, after: Terms, scopes: Collection[str]) -> bool:
    earlier, later = before.of(scopes), after.of(scopes)
    return (earlier.modes, earlier.limits, earlier.targets) != (later.modes, later.limits, later.targets)
