"""What becomes of webhooks and deliveries when accounts and organizations end, and after their time."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.dispatch import receiver

from accounts.models import User
from accounts.signals import account_erased, account_reclaimed
from audit.events import Event
from core import clock
from core.actor import Actor
from core.sweeps import BATCH, delete_batch
from developers.models import Organization
from developers.selectors import memberships_of, sole_organizations
from developers.signals import organization_deleted
from events.models import Delivery, Webhook
from events.services import delete_held, hold_follower, record_webhook, start_again, switch_off_held

LIFETIME = timedelta(days=30)


@receiver(account_reclaimed)
def switch_off_reclaimed(*, user: User, actor: Actor, now: datetime, **kwargs: Any) -> None:
    """Switch off the webhooks of the user's own organizations, and those that the account made or can sign for."""
    ours, members = sole_organizations(user), memberships_of(user)
    made = Q(organization__in=ours) | Q(made_by__in=members) | Q(secret_seen_by__in=members)
    switch_off(Webhook.objects.filter(made), actor=actor, now=now, reason="account_reclaimed")


@receiver(account_erased)
def forget_answers(*, user: User, now: datetime, **kwargs: Any) -> None:
    """Empty what receivers answered to events about the user, also what a try in flight is about to be answered."""
    about = Delivery.objects.filter(user_id=user.pk)
    _hold(Webhook.objects.filter(pk__in=about.values("webhook")))
    start_again(about.exclude(due_at=None), now)
    about.exclude(response_body="").update(response_body="")


@receiver(organization_deleted)
def delete_all(*, organization: Organization, now: datetime, **kwargs: Any) -> None:
    """Delete the organization's webhooks. A sweep removes their deliveries."""
    for webhook in _hold(Webhook.objects.filter(organization=organization, deleted_at=None)):
        delete_held(webhook, now)


def switch_off(rows: QuerySet[Webhook], *, actor: Actor, now: datetime, reason: str) -> int:
    """Switch off those of the webhooks that are not, and log it. Return how many."""
    found = _hold(rows.filter(is_enabled=True))
    for webhook in found:
        switch_off_held(webhook, now)
        webhook.save()
        record_webhook(Event.WEBHOOK_DISABLED, actor, webhook, reason=reason)
    return len(found)


def delete_old_deliveries(*, limit: int = BATCH) -> int:
    """Delete up to `limit` deliveries that are `LIFETIME` old and have ended. Return how many."""
    old = Delivery.objects.filter(created_at__lte=clock.now() - LIFETIME, due_at=None)
    return delete_batch(old.order_by("created_at"), limit=limit)


def delete_deliveries_of_deleted(*, limit: int = BATCH) -> int:
    """Delete up to `limit` deliveries of webhooks that are deleted. Return how many."""
    return delete_batch(Delivery.objects.exclude(webhook__deleted_at=None).order_by("webhook_id", "id"), limit=limit)


def delete_deleted(*, limit: int = BATCH) -> int:
    """Delete up to `limit` webhooks that are deleted and have no deliveries any more. Return how many."""
    deleted = Webhook.objects.exclude(deleted_at=None)
    return delete_batch(deleted.exclude(Exists(Delivery.objects.filter(webhook=OuterRef("pk")))), limit=limit)


def end_overlaps(*, limit: int = BATCH) -> int:
    """Forget the secrets whose overlap is over. Return how many."""
    over = Webhook.objects.filter(former_until__lte=clock.now())
    return over.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).update(
        former_sealed=None, former_until=None
    )


def _hold(rows: QuerySet[Webhook]) -> list[Webhook]:
    hold_follower()
    return list(rows.select_for_update().order_by("pk"))
