"""Deny the pending requests of a user whose account is erased, and delete all approvals, because agents wrote them."""

from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q
from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased
from approvals.models import Approval
from approvals.records import draft_approval
from approvals.services import ENDED
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from core.actor import Actor
from core.locks import after_decisions

REASON = "account_erased"


@receiver(account_erased)
def erase_approvals(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Deny and delete the user's approvals.

    Decisions in progress add and use approvals, so those are deleted after the decisions have ended. Standing and ended
    ones are deleted first: a sweep may have locked them, and nothing after the decisions may wait for a lock.
    """
    Approval.objects.filter(user=user).filter(Q(is_standing=True) | Q(status__in=ENDED)).delete()
    after_decisions(partial(_deny_and_delete, user, actor, now))


def _deny_and_delete(user: User, actor: Actor, now: datetime) -> None:
    waiting = Approval.objects.filter(user=user, status=Approval.Status.PENDING, expires_at__gt=now)
    append([_draft_denial(approval, actor) for approval in waiting], at=now)
    Approval.objects.filter(user=user).delete()


def _draft_denial(approval: Approval, actor: Actor) -> Draft:
    """Leave out the resource, because it is personal."""
    return draft_approval(
        Event.APPROVAL_DENIED,
        actor=actor,
        approval=approval,
        outcome=Outcome.DENIED,
        metadata={"reason": REASON},
        resource=None,
        personal={},
    )
