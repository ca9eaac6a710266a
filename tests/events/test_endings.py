"""What becomes of webhooks and deliveries when accounts and organizations end, and after their time."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.erasure import erase_user
from agents.issued import end_issued, issued_since
from core import clock
from developers.models import Developer, Organization
from developers.roles import Role
from developers.stopping import delete_organization, finish_deletion
from events.models import Delivery, Webhook
from events.selectors import signing_secrets
from events.services import CheckedUrl, rotate_secret, update_webhook
from events.tasks import sweep_deliveries
from tests.events.webhooks import acting, follow, queue, states, webhook_for
from tests.log import log_entries
from tests.world import ANONYMOUS, as_owner, as_user, make_member, make_user, reclaim

pytestmark = pytest.mark.django_db
EVIL = CheckedUrl("https://evil.example/in")


def reasons() -> list[str]:
    return [entry.content["metadata"]["reason"] for entry in log_entries(event="webhook.disabled")]


def test_a_webhook_of_an_intruder_ends_with_what_the_account_made(developer: Developer) -> None:
    """Otherwise it would have the organization's events sent to the intruder after their session has ended."""
    admin = make_member(developer, "a@example.com", Role.ADMIN)
    earlier, moved, known, theirs = (webhook_for(developer) for _ in range(4))
    since = clock.now()
    made = webhook_for(developer, url=EVIL)
    update_webhook(**acting(developer), webhook_id=moved.pk, url=EVIL)
    rotate_secret(**acting(developer), webhook_id=known.pk)  # whose secret signs what a receiver believes
    rotate_secret(**acting(admin), webhook_id=theirs.pk)
    listed = issued_since(developer.user, since).items
    assert [(one.made, one.text, one.owner) for one in listed if one.text == EVIL] == [("webhook", EVIL, "Acme")] * 2
    assert len(listed) == 3

    assert end_issued(actor=as_user(developer.user), user=developer.user, since=since) == 3

    off = {made.pk, moved.pk, known.pk}
    assert {*Webhook.objects.filter(is_enabled=False).values_list("pk", flat=True)} == off
    assert {*Webhook.objects.filter(is_enabled=True).values_list("pk", flat=True)} == {earlier.pk, theirs.pk}
    assert reasons() == ["ended_by_owner"] * 3
    assert issued_since(developer.user, since).total == 0


def test_what_a_member_may_no_longer_change_is_not_theirs_to_end(developer: Developer) -> None:
    admin, since = make_member(developer, "a@example.com", Role.ADMIN), clock.now()
    webhook_for(admin)
    Developer.objects.filter(pk=admin.pk).update(role=Role.DEVELOPER)
    assert issued_since(admin.user, since).total == 0
    assert end_issued(actor=as_user(admin.user), user=admin.user, since=since) == 0
    assert Webhook.objects.get().is_enabled


def test_a_reset_that_reclaims_an_account_switches_off_all_webhooks_of_its_own_organization(
    developer: Developer,
) -> None:
    admin = make_member(developer, "a@example.com", Role.ADMIN)
    webhook = queue(admin)
    Developer.objects.filter(pk=admin.pk).update(ended_at=clock.now())
    reclaim(developer.user)
    assert states(webhook) == [("failed", False)]
    assert reasons() == ["account_reclaimed"]


def test_in_an_organization_with_others_it_switches_off_those_that_the_account_made(developer: Developer) -> None:
    admin = make_member(developer, "a@example.com", Role.ADMIN)
    theirs, own, moved = webhook_for(admin), webhook_for(developer), webhook_for(developer)
    update_webhook(**acting(admin), webhook_id=moved.pk, url=EVIL)  # whose secret the account still knows
    reclaim(developer.user)
    assert [*Webhook.objects.filter(is_enabled=False)] == [moved, own]
    assert Webhook.objects.get(pk=theirs.pk).is_enabled


def test_an_erasure_empties_what_receivers_answered_about_the_user(developer: Developer) -> None:
    webhook, user = queue(developer), make_user("ada@example.com")
    answered: dict[str, Any] = {"response_body": "Hello Ada", "attempt": 3}
    Delivery.objects.update(**answered, due_at=None)
    mine, other = (
        Delivery.objects.create(
            webhook=webhook, leaf_index=-one, number=one, user_id=user.pk, created_at=clock.now(), **answered
        )
        for one in (1, 2)
    )
    Delivery.objects.filter(pk=mine.pk).update(due_at=clock.now())

    erase_user(actor=as_user(user), user=user)

    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.response_body, other.response_body) == ("", "")
    # A try in flight is not recorded, because it is none of those that begin now.
    assert (mine.attempt, mine.due_at is not None, other.attempt, other.due_at) == (0, True, 3, None)
    assert Delivery.objects.filter(response_body="Hello Ada").count() == 1


def test_a_deleted_organization_has_no_webhooks(developer: Developer) -> None:
    webhook = queue(developer)
    delete_organization(actor=as_owner(developer.organization), organization=developer.organization)
    Organization.objects.update(deletes_at=clock.now())
    assert finish_deletion(developer.organization_id)
    webhook.refresh_from_db()
    assert (webhook.is_enabled, bytes(webhook.secret_sealed), webhook.deleted_at is not None) == (False, b"", True)

    assert sweep_deliveries() == 2
    assert (Webhook.objects.count(), Delivery.objects.count()) == (0, 0)


def test_deliveries_are_kept_for_30_days_and_outstanding_ones_longer(developer: Developer) -> None:
    webhook = queue(developer)
    update_webhook(**acting(developer), webhook_id=webhook.pk, types=["webhook.*"])
    follow()
    ended, outstanding = webhook.deliveries.order_by("number")
    now = clock.now()
    for age, left in ((timedelta(days=29), 2), (timedelta(days=30), 1)):
        Delivery.objects.update(created_at=now - age)
        Delivery.objects.filter(pk=ended.pk).update(due_at=None)
        sweep_deliveries()
        assert webhook.deliveries.count() == left
    assert webhook.deliveries.get() == outstanding


def test_a_former_secret_is_forgotten_after_its_overlap(developer: Developer) -> None:
    webhook = webhook_for(developer)
    rotated = rotate_secret(**acting(developer), webhook_id=webhook.pk, overlap_seconds=60)
    assert sweep_deliveries() == 0
    Webhook.objects.update(former_until=clock.now())
    assert sweep_deliveries() == 1
    webhook.refresh_from_db()
    assert webhook.former_sealed is None
    assert signing_secrets(webhook, clock.now()) == [rotated.secret]


def test_the_actor_of_an_ending_is_who_ends(developer: Developer) -> None:
    webhook_for(developer)
    end_issued(actor=as_user(developer.user), user=developer.user, since=clock.now() - timedelta(days=1))
    (entry,) = log_entries(event="webhook.disabled")
    assert entry.content["actor"]["id"] == developer.pk
    assert ANONYMOUS.kind != entry.content["actor"]["kind"]
