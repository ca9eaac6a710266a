"""Webhooks: who may make, change and delete them, what the log and the mails say, and sending again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Receiver

from accounts.errors import ReauthenticationRequired
from accounts.models import Notice
from audit.sequencing.sequencer import sequence
from core import clock
from core.errors import Invalid, NotFound, Throttled
from developers.acting import as_developer, as_developer_in_session
from developers.errors import OrganizationDeleting, OrganizationSuspended
from developers.models import Developer, Organization
from developers.roles import Role, RoleInsufficient
from events import following, services
from events.errors import TooManyOutstanding, WebhookDisabled
from events.models import Delivery, Webhook
from events.numbers import newest_number
from events.selectors import delivery_of, outstanding, progress_of, signing_secrets, webhook_of, webhooks_of
from events.services import (
    MAX_WEBHOOKS,
    CheckedUrl,
    create_webhook,
    delete_webhook,
    redeliver,
    replay,
    rotate_secret,
    send_test,
    throttle_test,
    update_webhook,
)
from tests.events.webhooks import URL, acting, follow, make, queue, states, webhook_for
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, make_agent, make_developer, make_member

pytestmark = pytest.mark.django_db

ACTS: dict[str, Callable[..., Any]] = {
    "update": lambda **ids: update_webhook(**ids, types=["agent.*"]),
    "delete": delete_webhook,
    "rotate": rotate_secret,
    "test": send_test,
    "replay": lambda **ids: replay(**ids, after=0),
    "redeliver": lambda **ids: redeliver(**ids, delivery_id="dlv_0"),
}


@pytest.fixture
def webhook(developer: Developer) -> Webhook:
    return queue(developer)


def metadata_of(event: str) -> dict[str, Any]:
    found: dict[str, Any] = log_entries(event=event)[0].content["metadata"]
    return found


def mailed() -> list[tuple[str, str]]:
    """Return who is mailed what, and forget it."""
    found = sorted(Notice.objects.values_list("user__email", "name"))
    Notice.objects.all().delete()
    return found


def test_a_webhook_has_a_secret_that_is_stored_sealed_and_shown_once(developer: Developer) -> None:
    made = make(developer, "consent.*", "consent.*", "token.verify")

    webhook = webhook_of(developer.organization_id, made.webhook.pk)
    assert signing_secrets(webhook, clock.now()) == [made.secret]
    assert len(Receiver(made.secret)._whsecret) == 32
    assert Receiver(made.secret)._whsecret not in bytes(webhook.secret_sealed)
    assert made.secret not in f"{made!r} {webhook!r}"
    assert webhook.types == ["consent.*", "token.verify"]
    assert (webhook.made_by, webhook.is_enabled, webhook.disabled_reason) == (developer, True, "")
    assert metadata_of("webhook.created") == {
        "webhookId": webhook.pk,
        "host": "hooks.example",
        "types": ["consent.*", "token.verify"],
        "agentIds": None,
        "enabled": True,
    }


def test_a_webhook_gets_what_happens_from_its_creation_on(developer: Developer) -> None:
    """Whether the follower has read what is before or not."""
    webhook_for(developer)
    sequence()
    late = webhook_for(developer)
    newest = newest_number(developer.organization_id)
    follow()
    (delivery,) = late.deliveries.all()
    assert (delivery.type, delivery.number) == ("webhook.created", newest + 1)
    assert late.cursor_number == newest
    assert progress_of([late]) == {late.pk: (newest, 1)}


@cases(
    ("fields", "field", "message"),
    [
        ({"types": []}, "types", "Choose 1 to 50"),
        ({"types": ["nothing.here"]}, "types", "no event type “nothing.here”"),
        ({"types": ["webhook.test"]}, "types", "Leave out “webhook.test”"),
        ({"agent_ids": []}, "agentIds", "Must be 1 to 20"),
        ({"agent_ids": ["agt_0"]}, "agentIds", "not one of your organization's agents"),
    ],
)
def test_what_a_webhook_cannot_be(developer: Developer, fields: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as error:
        make(developer, **fields)
    assert error.value.errors[0].field == field
    webhook = webhook_for(developer)
    with pytest.raises(Invalid, match=message):
        update_webhook(**acting(developer), webhook_id=webhook.pk, **fields)


def test_agents_of_a_webhook_are_those_of_the_organization(developer: Developer) -> None:
    agent, foreign = make_agent(developer), make_agent(make_developer("rival@example.com", "Rival"))
    webhook = webhook_for(developer, agent_ids=[agent.id, agent.id])
    assert webhook.agent_ids == [agent.id]
    with pytest.raises(Invalid, match="not one of your organization's agents"):
        update_webhook(**acting(developer), webhook_id=webhook.pk, agent_ids=[foreign.id])
    assert update_webhook(**acting(developer), webhook_id=webhook.pk, agent_ids=None).agent_ids is None


def test_an_organization_has_at_most_twenty(developer: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_WEBHOOKS == 20
    monkeypatch.setattr(services, "MAX_WEBHOOKS", 2)
    first, _ = webhook_for(developer), webhook_for(developer)
    with pytest.raises(Invalid, match="at most 2 webhooks"):
        make(developer)
    delete_webhook(**acting(developer), webhook_id=first.pk)
    make(developer)
    make(make_developer("rival@example.com", "Rival"))


@pytest.mark.parametrize("act", ACTS)
def test_only_owners_and_admins_of_the_organization_change_a_webhook(
    developer: Developer, webhook: Webhook, act: str
) -> None:
    for role in (Role.DEVELOPER, Role.AUDITOR):
        member = make_member(developer, f"{role}@example.com", role)
        with pytest.raises(RoleInsufficient):
            ACTS[act](**acting(member), webhook_id=webhook.pk)
        with pytest.raises(RoleInsufficient):
            make(member)
    rival = make_developer("rival@example.com", "Rival")
    for webhook_id in (webhook.pk, "whk_0"):
        with pytest.raises(NotFound):
            ACTS[act](**acting(rival), webhook_id=webhook_id)
    assert Webhook.objects.filter(pk=webhook.pk, types=["*"], deleted_at=None).exists()
    assert not log_entries(event__startswith="webhook.").exclude(event="webhook.created").exists()


@cases(("state", "error"), [("suspended_at", OrganizationSuspended), ("deletes_at", OrganizationDeleting)])
def test_an_organization_that_is_suspended_or_being_deleted_changes_nothing(
    developer: Developer, webhook: Webhook, state: str, error: type[Exception]
) -> None:
    caller = acting(developer)
    Organization.objects.update(**{state: clock.now() + timedelta(days=1)})
    for act in ACTS.values():
        with pytest.raises(error):
            act(**caller, webhook_id=webhook.pk)
    with pytest.raises(error):
        create_webhook(**caller, url=URL, types=["*"])


def test_what_a_session_makes_needs_a_recent_sign_in(developer: Developer, webhook: Webhook) -> None:
    """An intruder with a session that was left open would have the events sent elsewhere."""
    older = as_developer_in_session(ANONYMOUS, developer, clock.now() - timedelta(minutes=5))
    caller = {"actor": older, "organization_id": developer.organization_id}
    with pytest.raises(ReauthenticationRequired):
        create_webhook(**caller, url=URL, types=["*"])
    with pytest.raises(ReauthenticationRequired):
        rotate_secret(**caller, webhook_id=webhook.pk)
    with pytest.raises(ReauthenticationRequired):
        update_webhook(**caller, webhook_id=webhook.pk, url=CheckedUrl("https://evil.example"))
    # What takes away, and what sends more to the same receiver, does not.
    assert update_webhook(**caller, webhook_id=webhook.pk, url=URL, types=["agent.*"]).types == ["agent.*"]
    delete_webhook(**caller, webhook_id=webhook.pk)


def test_owners_and_admins_are_mailed_about_a_url_and_a_secret(developer: Developer) -> None:
    admin = make_member(developer, "a@example.com", Role.ADMIN)
    make_member(developer, "d@example.com", Role.DEVELOPER)
    Notice.objects.all().delete()
    session = as_developer_in_session(ANONYMOUS, admin, clock.now())
    caller = {"actor": session, "organization_id": admin.organization_id}
    told = [("a@example.com", "credential_made"), ("dev@example.com", "webhook_made")]

    webhook = create_webhook(**caller, url=URL, types=["*"]).webhook
    assert mailed() == told
    update_webhook(**caller, webhook_id=webhook.pk, types=["agent.*"])
    assert mailed() == []
    update_webhook(**caller, webhook_id=webhook.pk, url=CheckedUrl("https://other.example"))
    assert mailed() == told
    rotate_secret(**caller, webhook_id=webhook.pk)
    assert mailed() == told
    rotate_secret(**acting(admin), webhook_id=webhook.pk)  # with an API key
    assert mailed() == [("a@example.com", "webhook_made"), ("dev@example.com", "webhook_made")]


def test_the_log_says_what_changed_and_of_a_url_only_the_host(developer: Developer, webhook: Webhook) -> None:
    url = CheckedUrl("https://other.example/s3cret?key=s3cret")
    update_webhook(**acting(developer), webhook_id=webhook.pk, url=url, types=["agent.*"], is_enabled=True)
    assert metadata_of("webhook.updated") == {
        "webhookId": webhook.pk,
        "host": "other.example",
        "formerHost": "hooks.example",
        "changed": ["types", "url"],
        "types": ["agent.*"],
        "formerTypes": ["*"],
    }
    assert b"s3cret" not in b"".join(entry.body for entry in log_entries())
    update_webhook(**acting(developer), webhook_id=webhook.pk, types=["agent.*"])
    assert log_entries(event="webhook.updated").count() == 1  # nothing changed


def test_both_secrets_sign_during_an_overlap_and_at_most_two(developer: Developer) -> None:
    first = make(developer)
    caller, now = {**acting(developer), "webhook_id": first.webhook.pk}, clock.now()
    second = rotate_secret(**caller, overlap_seconds=60)
    assert signing_secrets(second.webhook, now) == [second.secret, first.secret]
    assert signing_secrets(second.webhook, now + timedelta(seconds=90)) == [second.secret]
    third = rotate_secret(**caller)
    assert signing_secrets(third.webhook, now + timedelta(hours=23)) == [third.secret, second.secret]
    fourth = rotate_secret(**caller, overlap_seconds=0)
    assert signing_secrets(webhook_of(developer.organization_id, first.webhook.pk), now) == [fourth.secret]
    assert metadata_of("webhook.secret_rotated")["overlapSeconds"] == 0


def test_a_webhook_that_is_switched_off_fails_what_is_outstanding(developer: Developer, webhook: Webhook) -> None:
    Webhook.objects.update(holder="worker", held_until=clock.now(), failing_since=clock.now())
    assert states(webhook) == [("retrying", True)]
    oldest = outstanding(webhook).get()

    off = update_webhook(**acting(developer), webhook_id=webhook.pk, is_enabled=False)

    assert states(webhook) == [("failed", False)]
    assert (off.is_enabled, off.disabled_reason, off.holder, off.due_at) == (False, "member", "", None)
    assert off.disabled_at is not None
    assert progress_of([off])[off.pk] == (oldest.number - 1, 0)
    for act in ("test", "replay", "redeliver"):
        with pytest.raises(WebhookDisabled):
            ACTS[act](**acting(developer), webhook_id=webhook.pk)
    follow()
    assert states(webhook) == [("failed", False)]

    on = update_webhook(**acting(developer), webhook_id=webhook.pk, is_enabled=True)
    follow()
    assert (on.disabled_reason, on.disabled_at) == ("", None)
    # From now on: its own change, but not what happened while it was off.
    assert states(webhook) == [("failed", False), ("retrying", True)]
    assert [*webhook.deliveries.values_list("type", flat=True)] == ["webhook.updated", "webhook.created"]

    replay(**acting(developer), webhook_id=webhook.pk, after=oldest.number - 1)
    webhook.refresh_from_db()
    following.catch_up(webhook)
    assert set(states(webhook)) == {("retrying", True)}
    assert {"webhook.created", "webhook.updated"} == set(webhook.deliveries.values_list("type", flat=True))
    assert webhook.deliveries.count() == 3


def test_a_webhook_can_be_made_switched_off(developer: Developer) -> None:
    webhook = queue(developer, is_enabled=False)
    assert (states(webhook), webhook.disabled_reason) == ([], "member")


def test_a_deleted_webhook_is_gone_with_its_secrets(developer: Developer, webhook: Webhook) -> None:
    caller = {**acting(developer), "webhook_id": webhook.pk}
    delete_webhook(**caller)
    webhook.refresh_from_db()
    assert (webhook.is_enabled, bytes(webhook.secret_sealed), states(webhook)) == (False, b"", [("failed", False)])
    assert not webhooks_of(developer.organization_id).exists()
    for act in ACTS.values():
        with pytest.raises(NotFound):
            act(**caller)
    assert metadata_of("webhook.deleted")["host"] == "hooks.example"


def test_a_test_event_names_its_webhook(developer: Developer) -> None:
    webhook, other = webhook_for(developer, "consent.*"), webhook_for(developer)
    entry_id = send_test(**acting(developer), webhook_id=webhook.pk)
    follow()
    assert webhook.deliveries.get().entry_id == entry_id
    assert not other.deliveries.filter(type="webhook.test").exists()


def test_test_events_are_bounded(developer: Developer) -> None:
    for _ in range(10):
        throttle_test(developer.organization_id)
    with pytest.raises(Throttled):
        throttle_test(developer.organization_id)
    throttle_test("org_other")


def test_a_replay_is_from_a_number_that_exists(developer: Developer, webhook: Webhook) -> None:
    caller = {**acting(developer), "webhook_id": webhook.pk}
    newest = webhook.cursor_number
    for after in (-1, newest + 1):
        with pytest.raises(Invalid, match=f"Must be from 0 to {newest}"):
            replay(**caller, after=after)
    replay(**caller, after=newest)
    webhook.refresh_from_db()
    assert webhook.cursor_index is None  # nothing is before the follower
    replay(**caller, after=0)
    webhook.refresh_from_db()
    assert (webhook.cursor_number, webhook.due_at is not None) == (0, True)
    assert progress_of([webhook]) == {webhook.pk: (0, 1)}
    # A later number does not skip what is still to be sent.
    replay(**caller, after=newest)
    webhook.refresh_from_db()
    assert webhook.cursor_number == 0
    assert metadata_of("webhook.replayed")["after"] == newest
    off = update_webhook(**acting(developer), webhook_id=webhook.pk, is_enabled=False)
    assert off.cursor_number == 0


def test_a_delivery_is_sent_again_with_all_its_tries(
    developer: Developer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = webhook.deliveries.get()
    ended = {"status": Delivery.Status.FAILED, "attempt": 10, "due_at": None, "first_tried_at": clock.now()}
    Delivery.objects.update(**ended)
    Webhook.objects.update(due_at=None)
    caller = {**acting(developer), "webhook_id": webhook.pk, "delivery_id": delivery.pk}

    again = redeliver(**caller)

    assert (again.status, again.attempt, again.first_tried_at) == ("retrying", 0, None)
    webhook.refresh_from_db()
    assert webhook.due_at == delivery_of(webhook, delivery.pk).due_at
    assert metadata_of("webhook.replayed")["deliveryId"] == delivery.pk
    monkeypatch.setattr(services, "MAX_OUTSTANDING", 1)
    redeliver(**caller)  # it is one of those already
    Delivery.objects.update(**ended)
    monkeypatch.setattr(services, "MAX_OUTSTANDING", 0)
    with pytest.raises(TooManyOutstanding):
        redeliver(**caller)
    other = webhook_for(developer)
    with pytest.raises(NotFound):
        redeliver(**{**caller, "webhook_id": other.pk})


def test_the_maker_is_who_gave_the_url_or_saw_the_secret_last(developer: Developer, webhook: Webhook) -> None:
    admin = make_member(developer, "a@example.com", Role.ADMIN)
    caller = {"actor": as_developer(ANONYMOUS, admin), "organization_id": admin.organization_id}
    update_webhook(**caller, webhook_id=webhook.pk, types=["agent.*"])
    assert webhook_of(admin.organization_id, webhook.pk).made_by == developer
    rotate_secret(**caller, webhook_id=webhook.pk)
    assert webhook_of(admin.organization_id, webhook.pk).made_by == admin
