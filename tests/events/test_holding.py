"""The rounds of a worker: what it takes, what it tries, and what becomes of results. No network."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import Notice
from core import clock
from developers.models import Developer, Organization
from developers.roles import Role
from events import holding
from events.holding import HOLD, Result, Round, Try, Work, run_round
from events.models import Delivery, Webhook
from events.schedule import DELAYS, MAX_DOUBTFUL_TRIES, MAX_OUTSTANDING, MAX_TRIES, SLOW_FOR
from events.sending import NOT_IN_LOG, Outcome
from events.services import rotate_secret
from tests.events.webhooks import acting, queue
from tests.log import log_entries
from tests.threads import race
from tests.world import make_member

pytestmark = pytest.mark.django_db

ACCEPTED, BROKEN, GONE = Outcome(204), Outcome(500, "no", duration_ms=7), Outcome(410)
MOMENT = timedelta(milliseconds=1)


class Worker:
    """A worker whose tries end when a test says so."""

    def __init__(self, name: str = "worker") -> None:
        self.name, self.work = name, Work()

    def round(self, *results: Result, stopping: bool = False) -> list[Try]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(holding, "holder", lambda: self.name)
            for one in results:
                del self.work.tries[one.made.delivery.id]
            done: Round = run_round(results, self.work, stopping=stopping)
        self.work.held = done.held
        self.work.tries |= {one.delivery.id: one for one in done.tries}
        self.behind = done.behind
        return done.tries

    def end(self, outcome: Outcome, *tries: Try) -> list[Try]:
        """Let tries, or all, end in this way. Return the tries that start then."""
        return self.round(*(Result(one, outcome) for one in tries or tuple(self.work.tries.values())))


@pytest.fixture
def clocks() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(clock.now(), tick=False) as moved:
        yield moved


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def webhook(developer: Developer, clocks: object) -> Webhook:
    """One that has an event outstanding: that of its own creation."""
    return queue(developer)


def more(webhook: Webhook, number: int, *, first: int = 0, **fields: Any) -> None:
    """Queue more events for a webhook."""
    now, indexes = clock.now(), range(1000 + first, 1000 + first + number)
    values = {"webhook": webhook, "type": "agent.updated", "created_at": now, "due_at": now, **fields}
    Delivery.objects.bulk_create(
        Delivery(entry_id=f"log_{index}", leaf_index=index, number=index, **values) for index in indexes
    )
    Webhook.objects.filter(pk=webhook.pk).update(due_at=now)


def proven(webhook: Webhook) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(delivered_at=clock.now())


def delivery_of(webhook: Webhook) -> Delivery:
    return Delivery.objects.filter(webhook=webhook).order_by("leaf_index")[0]


def test_what_is_due_is_tried_and_what_is_accepted_is_delivered(worker: Worker, webhook: Webhook) -> None:
    (made,) = worker.round()
    assert (made.target.url, made.target.organization_id) == (webhook.url, webhook.organization_id)
    assert worker.round() == []

    worker.end(Outcome(201, "thanks", duration_ms=12))

    stored = delivery_of(webhook)
    assert (stored.status, stored.attempt, stored.due_at) == ("delivered", 1, None)
    assert (stored.response_status, stored.response_body, stored.duration_ms) == (201, "thanks", 12)
    webhook.refresh_from_db()
    assert (webhook.holder, webhook.due_at, webhook.failing_since) == ("", None, None)
    assert webhook.delivered_at == stored.tried_at == stored.first_tried_at == clock.now()
    assert worker.work == Work()


def test_a_failure_is_tried_again_at_its_times_and_fails_in_the_end(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller
) -> None:
    proven(webhook)
    began = clock.now()
    for number, delay in enumerate(DELAYS, start=1):
        assert len(worker.round()) == 1, f"try {number}"
        Webhook.objects.filter(pk=webhook.pk).update(delivered_at=clock.now())  # others are accepted
        worker.end(BROKEN)
        stored = delivery_of(webhook)
        assert (stored.status, stored.attempt, stored.response_status) == ("retrying", number, 500)
        assert clock.now() + delay <= stored.due_at <= clock.now() + 1.1 * delay
        clocks.move_to(stored.due_at - MOMENT)
        assert worker.round() == []
        clocks.move_to(stored.due_at)
    worker.round()
    worker.end(BROKEN)
    stored = delivery_of(webhook)
    assert (stored.status, stored.attempt, stored.due_at) == ("failed", 10, None)
    assert clock.now() - began > timedelta(days=3)
    webhook.refresh_from_db()
    assert webhook.is_enabled
    assert webhook.due_at is None


def test_a_receiver_that_accepts_nothing_until_the_last_try_is_switched_off(
    worker: Worker, webhook: Webhook, developer: Developer, clocks: time_machine.Traveller
) -> None:
    proven(webhook)
    clocks.shift(MOMENT)
    make_member(developer, "admin@example.com", Role.ADMIN)
    more(webhook, 2)
    Delivery.objects.filter(leaf_index__lt=1000).update(attempt=9, first_tried_at=clock.now())
    oldest = worker.round()[0]
    worker.end(BROKEN)

    webhook.refresh_from_db()
    assert (webhook.is_enabled, webhook.disabled_reason, webhook.due_at) == (False, "failing", None)
    assert webhook.cursor_number == oldest.delivery.number - 1
    assert set(Delivery.objects.values_list("status", "due_at")) == {("failed", None)}
    assert log_entries(event="webhook.disabled")[0].content["metadata"]["reason"] == "failing"
    assert Notice.objects.filter(name="webhook_switched_off").count() == 2
    assert worker.round() == []


def test_a_receiver_that_is_gone_is_switched_off(worker: Worker, webhook: Webhook) -> None:
    worker.round()
    worker.end(GONE)
    webhook.refresh_from_db()
    assert (webhook.is_enabled, webhook.disabled_reason) == (False, "gone")
    assert delivery_of(webhook).response_status == 410


def test_the_receiver_can_ask_for_a_later_try(worker: Worker, webhook: Webhook) -> None:
    worker.round()
    worker.end(Outcome(503, retry_after="3600"))
    assert delivery_of(webhook).due_at == clock.now() + timedelta(hours=1)


def test_a_try_that_was_not_made_does_not_count(worker: Worker, webhook: Webhook) -> None:
    worker.round()
    worker.end(Outcome(postponed=timedelta(seconds=1)))
    stored = delivery_of(webhook)
    assert (stored.attempt, stored.due_at) == (0, clock.now() + timedelta(seconds=1))
    assert (stored.first_tried_at, stored.tried_at) == (None, None)
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_what_the_log_does_not_have_is_not_sent_and_says_nothing_about_the_receiver(
    worker: Worker, webhook: Webhook
) -> None:
    worker.round()
    worker.end(Outcome(error=NOT_IN_LOG))
    stored = delivery_of(webhook)
    assert (stored.status, stored.error, stored.due_at) == ("failed", NOT_IN_LOG, None)
    webhook.refresh_from_db()
    assert (webhook.is_enabled, webhook.failing_since, webhook.delivered_at) == (True, None, None)


def test_a_failing_webhook_and_a_new_one_have_one_try_in_flight_and_others_four(
    worker: Worker, webhook: Webhook
) -> None:
    more(webhook, 6)
    assert len(worker.round()) == 1
    tries = worker.end(ACCEPTED)
    assert (len(tries), worker.work.load().total) == (6, 4)
    worker.end(BROKEN)
    more(webhook, 6, first=10)
    assert len(worker.round()) == 1


def test_with_a_hundred_tried_in_vain_only_the_oldest_is_tried_until_one_is_accepted(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller
) -> None:
    proven(webhook)
    clocks.shift(MOMENT)
    more(webhook, MAX_OUTSTANDING - 1, attempt=3)
    now = clock.now()
    Delivery.objects.update(attempt=3, first_tried_at=now, due_at=now)
    Webhook.objects.update(cursor_index=5000, failing_since=now)
    (oldest,) = worker.round()
    assert oldest.delivery.leaf_index < 1000
    assert worker.end(BROKEN) == []
    later = now + timedelta(hours=20)
    Delivery.objects.filter(leaf_index__gte=1000).update(due_at=later)
    webhook.refresh_from_db()
    assert webhook.due_at == delivery_of(webhook).due_at < later
    assert worker.behind == []

    clocks.move_to(webhook.due_at)
    worker.round()
    # The others need not wait until their own times.
    assert len(worker.end(ACCEPTED)) == MAX_OUTSTANDING - 1
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_a_webhook_that_is_behind_gets_more_before_it_has_nothing_left(worker: Worker, webhook: Webhook) -> None:
    more(webhook, holding.ENOUGH)
    Webhook.objects.update(cursor_index=5000)
    worker.round()
    assert worker.behind == []
    worker.end(ACCEPTED)
    worker.end(ACCEPTED)
    assert [one.pk for one in worker.behind] == [webhook.pk]


@pytest.mark.parametrize("column", ["suspended_at", "deletes_at"])
def test_nothing_is_sent_for_a_suspended_or_deleted_organization(
    worker: Worker, webhook: Webhook, column: str, clocks: time_machine.Traveller
) -> None:
    more(webhook, 2)
    organizations = Organization.objects.filter(pk=webhook.organization_id)
    organizations.update(**{column: clock.now()})
    assert worker.round() == []
    organizations.update(**{column: None})
    assert len(worker.round()) == 1
    organizations.update(**{column: clock.now()})
    assert worker.end(ACCEPTED) == []
    assert worker.round() == []
    organizations.update(**{column: None})
    clocks.shift(holding.UNREADABLE)
    assert len(worker.round()) == 2


def hanging(organizations: int, of_each: int) -> None:
    """Make failing webhooks of others, each with a backlog."""
    now, since = clock.now(), clock.now() - timedelta(hours=1)
    owners = Organization.objects.bulk_create(Organization(name=f"Slow {each}") for each in range(organizations))
    fields = {"url": "https://slow.example/", "types": ["*"], "created_at": since, "failing_since": since}
    sealed = Webhook.objects.values_list("secret_sealed", flat=True)[0]
    made = Webhook.objects.bulk_create(
        Webhook(organization=owner, secret_sealed=sealed, due_at=since, **fields)
        for owner in owners
        for _ in range(of_each)
    )
    Delivery.objects.bulk_create(
        Delivery(webhook=one, entry_id=f"log_{each}", leaf_index=each, number=each, created_at=now, due_at=since)
        for one in made
        for each in range(3)
    )


@pytest.mark.parametrize(("organizations", "of_each"), [(8, 20), (40, 1)])
def test_webhooks_that_hang_do_not_keep_a_new_one_from_its_turn(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller, organizations: int, of_each: int
) -> None:
    hanging(organizations, of_each)
    assert len(worker.round()) == MAX_DOUBTFUL_TRIES
    tried = set()
    for _ in range(2):
        clocks.shift(timedelta(seconds=10))
        tried |= {one.target.webhook_id for one in worker.end(Outcome(error="timeout"))}
    assert webhook.pk in tried


def test_webhooks_that_accept_slowly_leave_places_to_others(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller
) -> None:
    hanging(4, 4)
    slow = Webhook.objects.exclude(pk=webhook.pk)
    slow.update(failing_since=None, delivered_at=clock.now())
    for one in slow:
        more(one, 90)
    Webhook.objects.filter(pk=webhook.pk).update(due_at=None)

    def again() -> None:
        Delivery.objects.filter(webhook__in=slow).update(due_at=clock.now(), attempt=0)
        slow.update(due_at=clock.now())

    worker.round()
    assert worker.work.load().total == MAX_TRIES
    clocks.shift(timedelta(seconds=9.9))
    worker.end(Outcome(200, duration_ms=9900))
    again()
    worker.round()
    assert worker.work.load().total == MAX_DOUBTFUL_TRIES
    proven(webhook)
    Webhook.objects.filter(pk=webhook.pk).update(due_at=clock.now())
    assert {one.target.webhook_id for one in worker.round()} == {webhook.pk}
    clocks.shift(SLOW_FOR)
    worker.end(Outcome(200, duration_ms=10))
    again()
    worker.round()
    assert worker.work.load().total == MAX_TRIES


def test_another_worker_leaves_a_webhook_alone_until_its_worker_is_dead(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller
) -> None:
    other = Worker("other")
    (made,) = worker.round()
    assert other.round() == []
    clocks.shift(HOLD - holding.RENEW_BEFORE + MOMENT)
    worker.round()  # renews its hold
    clocks.shift(HOLD - MOMENT)
    assert other.round() == []
    clocks.shift(MOMENT)
    (again,) = other.round()
    assert (again.delivery.id, again.delivery.attempt) == (made.delivery.id, 2)
    worker.end(BROKEN)  # too late
    assert delivery_of(webhook).response_status is None
    other.end(ACCEPTED)
    assert delivery_of(webhook).status == "delivered"


def test_a_result_does_not_count_for_what_is_sent_again_from_the_beginning(worker: Worker, webhook: Webhook) -> None:
    worker.round()
    Delivery.objects.update(attempt=0)
    (again,) = worker.end(ACCEPTED)
    assert again.delivery.attempt == 1


def test_a_trip_is_in_flight_until_its_last_try_has_ended(worker: Worker, webhook: Webhook) -> None:
    proven(webhook)
    more(webhook, 4)
    tries = worker.round()
    assert len({one.trip for one in tries}) == 4
    first = [one for one in tries if one.trip == tries[0].trip]
    assert len(first) == 2
    more(webhook, 1, first=10)
    assert worker.end(ACCEPTED, first[0]) == []
    assert len(worker.end(ACCEPTED, first[1])) == 1


def test_what_is_queued_meanwhile_is_tried_beside_a_try_in_flight(worker: Worker, webhook: Webhook) -> None:
    proven(webhook)
    (first,) = worker.round()
    more(webhook, 1)
    (second,) = worker.round()
    assert {first.delivery.id, second.delivery.id} == set(worker.work.tries)


def test_a_hold_from_before_the_clock_was_set_back_is_none(
    worker: Worker, webhook: Webhook, clocks: time_machine.Traveller
) -> None:
    clocks.shift(timedelta(days=400))
    assert len(worker.round()) == 1
    clocks.shift(timedelta(days=-400))
    assert len(Worker("other").round()) == 1


def test_without_the_secret_nothing_is_sent(
    worker: Worker,
    webhook: Webhook,
    developer: Developer,
    caplog: pytest.LogCaptureFixture,
    clocks: time_machine.Traveller,
) -> None:
    Webhook.objects.update(secret_sealed=b"of another JWT_SECRET")
    assert worker.round() == []
    assert "was sealed with another JWT_SECRET" in caplog.text
    assert Webhook.objects.get().due_at == clock.now() + holding.UNREADABLE
    rotate_secret(**acting(developer), webhook_id=webhook.pk)
    clocks.shift(holding.UNREADABLE)
    assert len(worker.round()) == 1, "although the former secret cannot sign beside it"


def test_a_worker_that_stops_starts_nothing_and_lets_go(worker: Worker, webhook: Webhook) -> None:
    more(webhook, 1)
    (made,) = worker.round()
    assert worker.round(Result(made, ACCEPTED), stopping=True) == []
    assert worker.work == Work()
    assert len(Worker("other").round()) == 1


def test_a_round_needs_few_statements(
    worker: Worker, webhook: Webhook, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    proven(webhook)
    more(webhook, 7)
    tries = worker.round()
    more(webhook, 4, first=10)
    with django_assert_max_num_queries(22):
        assert len(worker.end(ACCEPTED, *tries)) == 4


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_make_the_same_try(developer: Developer, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = queue(developer)
    proven(webhook)
    more(webhook, 7)
    monkeypatch.setattr(holding, "holder", lambda: threading.current_thread().name)

    def take() -> list[Try]:
        return run_round([], Work()).tries

    tries = [one.delivery.id for some in race([take, take]) for one in some]
    assert len(tries) == len(set(tries)) == 8
    assert Delivery.objects.filter(attempt=1).count() == 8
