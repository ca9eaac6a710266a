"""Changes of webhooks beside each other, beside a worker and beside the follower, on both databases."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from core import clock
from core.errors import Invalid, NotFound
from developers.models import Developer
from events import services
from events.errors import WebhookDisabled
from events.following import catch_up
from events.holding import Result, Round, Work, run_round
from events.models import Delivery, Webhook
from events.selectors import outstanding, signing_secrets, webhook_of
from events.sending import Outcome
from events.services import (
    WebhookSecret,
    create_webhook,
    delete_webhook,
    redeliver,
    replay,
    rotate_secret,
    send_test,
    update_webhook,
)
from tests.events.webhooks import URL, acting, follow, queue, states, webhook_for
from tests.log import log_entries
from tests.threads import race, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def ids_of(developer: Developer, webhook: Webhook) -> dict[str, Any]:
    return {**acting(developer), "webhook_id": webhook.pk}


def take(webhook: Webhook) -> tuple[Work, Round]:
    """Let a worker hold the webhook and start its tries."""
    Webhook.objects.filter(pk=webhook.pk).update(due_at=clock.now())
    done = run_round([], Work())
    return Work(held=done.held, tries={one.delivery.id: one for one in done.tries}), done


def accept(work: Work, done: Round) -> None:
    """Record that the receiver has accepted the tries."""
    results = [Result(one, Outcome(status=200, body="", duration_ms=1)) for one in done.tries]
    run_round(results, Work(held=work.held))


@rounds(10)
def test_of_two_webhooks_at_once_one_is_the_last(
    developer: Developer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(services, "MAX_WEBHOOKS", 2)
    webhook_for(developer)
    create = partial(create_webhook, **acting(developer), url=URL, types=["*"])
    outcomes = race([create] * 3)
    assert [type(one) for one in outcomes if not isinstance(one, WebhookSecret)] == [Invalid, Invalid]
    assert Webhook.objects.count() == 2


@rounds(10)
def test_after_two_rotations_at_once_both_new_secrets_sign(developer: Developer, number: int) -> None:
    webhook = webhook_for(developer)
    rotated = race([partial(rotate_secret, **ids_of(developer, webhook))] * 2)
    found = signing_secrets(webhook_of(developer.organization_id, webhook.pk), clock.now())
    assert {*found} == {one.secret for one in rotated}
    assert log_entries(event="webhook.secret_rotated").count() == 2


@rounds(10)
def test_a_result_beside_switching_off_leaves_nothing_outstanding(developer: Developer, number: int) -> None:
    webhook = queue(developer)
    work, done = take(webhook)
    assert len(done.tries) == 1
    race([partial(accept, work, done), partial(update_webhook, **ids_of(developer, webhook), is_enabled=False)])
    webhook.refresh_from_db()
    ((status, is_outstanding),) = states(webhook)
    assert (status in ("delivered", "failed"), is_outstanding) == (True, False)
    assert (webhook.is_enabled, webhook.due_at, webhook.holder) == (False, None, "")
    accept(work, done)  # late
    assert states(webhook) == [(status, False)]


def test_what_a_former_url_answers_is_not_recorded(developer: Developer) -> None:
    webhook = queue(developer)
    work, done = take(webhook)
    update_webhook(**ids_of(developer, webhook), url=services.CheckedUrl("https://new.example"))
    accept(work, done)
    assert states(webhook) == [("retrying", True)]
    assert Webhook.objects.get().delivered_at is None


def test_an_event_that_is_sent_again_during_a_try_is_tried_again(developer: Developer) -> None:
    webhook = queue(developer)
    work, done = take(webhook)
    redeliver(**ids_of(developer, webhook), delivery_id=webhook.deliveries.get().pk)
    accept(work, done)
    assert states(webhook) == [("retrying", True)]
    assert Webhook.objects.get().due_at is not None


@rounds(10)
def test_a_replay_beside_the_follower_leaves_nothing_out(developer: Developer, number: int) -> None:
    webhook = queue(developer)
    for _ in range(3):
        send_test(**ids_of(developer, webhook))
    after = webhook.cursor_number - 1
    Delivery.objects.all().delete()

    race([follow, partial(replay, **ids_of(developer, webhook), after=after)])

    follow()
    for _ in range(3):
        catch_up(webhook_of(developer.organization_id, webhook.pk))
        follow()
    webhook.refresh_from_db()
    assert webhook.cursor_index is None
    numbers = [*webhook.deliveries.order_by("number").values_list("number", flat=True)]
    assert numbers == [*range(after + 1, after + 1 + len(numbers))]
    types = [*webhook.deliveries.order_by("number").values_list("type", flat=True)]
    assert types == ["webhook.created", *["webhook.test"] * 3, "webhook.replayed"]


ACTS: dict[str, Callable[..., Any]] = {
    "rotate": rotate_secret,
    "test": send_test,
    "replay": partial(replay, after=0),
    "switch off": partial(update_webhook, is_enabled=False),
    "delete": delete_webhook,
}


@pytest.mark.parametrize("act", ACTS)
def test_nothing_brings_a_deleted_webhook_back(developer: Developer, act: str) -> None:
    webhook = queue(developer)
    send_test(**ids_of(developer, webhook))
    work, done = take(webhook)

    outcomes = race(
        [
            partial(delete_webhook, **ids_of(developer, webhook)),
            partial(ACTS[act], **ids_of(developer, webhook)),
            follow,
            partial(accept, work, done),
        ]
    )

    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert all(isinstance(one, NotFound | WebhookDisabled) for one in refused)
    webhook.refresh_from_db()
    assert (webhook.is_enabled, webhook.deleted_at is not None, bytes(webhook.secret_sealed)) == (False, True, b"")
    follow()
    assert not outstanding(webhook).exists()
    assert take(webhook)[1].tries == []
