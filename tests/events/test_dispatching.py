"""The loop that sends events, with receivers of our own on this host."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from standardwebhooks.webhooks import Webhook as Library

from audit.entries.drafts import Draft
from audit.events import Event
from audit.sequencing.sequencer import sequence
from core import clock
from core.crypto import seal
from developers.models import Organization
from events import dispatching, schedule
from events.addresses import MAX_TRIES_OF_SOME, MAX_TRIES_PER_ADDRESS
from events.dispatching import dispatch
from events.models import Delivery, Webhook
from events.schedule import MAX_TRIES_PER_ORGANIZATION
from events.selectors import SEAL, signing_secrets
from tests.audit.journals import ACTOR, write_drafts
from tests.events.receivers import Receiver, receiving
from tests.waiting import wait_until

commits = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_host(settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOOPBACK = True


@contextmanager
def dispatching_thread() -> Iterator[threading.Event]:
    stopped = threading.Event()
    thread = threading.Thread(target=dispatch, args=(stopped,))
    thread.start()
    try:
        yield stopped
    finally:
        stopped.set()
        thread.join(30)
        assert not thread.is_alive()
        wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("pool-")], seconds=10)


@pytest.fixture
def receivers() -> Iterator[Callable[..., tuple[Receiver, str]]]:
    with ExitStack() as stack:

        def start(*args: Any, **options: Any) -> tuple[Receiver, str]:
            receiver = Receiver(*args)
            return receiver, stack.enter_context(receiving(receiver, **options))

        yield start


def make_webhook(organization: Organization, url: str, **fields: Any) -> Webhook:
    values = {"types": ["*"], "secret_sealed": seal(SEAL, b"k" * 32), "created_at": clock.now(), **fields}
    return Webhook.objects.create(organization=organization, url=url, **values)


def log(organization_id: str, number: int) -> list[str]:
    draft = Draft(event=Event.AGENT_UPDATED, actor=ACTOR, organization_id=organization_id)
    written = write_drafts([draft] * number)
    sequence()
    return [one.id for one in written]


def statuses(webhook: Webhook) -> set[str]:
    return set(Delivery.objects.filter(webhook=webhook).values_list("status", flat=True))


@commits
def test_what_is_logged_arrives_once_and_signed(receivers: Callable[..., Any]) -> None:
    organization = Organization.objects.create(name="Acme")
    receiver, url = receivers()
    webhook = make_webhook(organization, url)
    with dispatching_thread():
        sent = log(organization.pk, 30)
        wait_until(lambda: len(receiver.received) == 30, lambda: str(receiver.counts), 20)
        wait_until(lambda: statuses(webhook) == {"delivered"}, seconds=10)
    assert sorted(receiver.ids) == sorted(sent)
    (secret,) = signing_secrets(webhook, clock.now())
    for _, headers, body in receiver.received:
        event = Library(secret).verify(body, headers)
        assert event["id"] == headers["webhook-id"]
    webhook.refresh_from_db()
    assert (webhook.holder, webhook.due_at, webhook.cursor_index) == ("", None, None)
    assert receiver.most_at_once <= 4


@commits
def test_the_same_id_is_sent_until_it_is_accepted_and_no_redirect_is_followed(
    receivers: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "DELAYS", (timedelta(seconds=0.05),) * 5)
    organization = Organization.objects.create(name="Acme")
    receiver, url = receivers(lambda number: {1: 302, 2: 500}.get(number, 200))
    webhook = make_webhook(organization, url)
    with dispatching_thread():
        (sent,) = log(organization.pk, 1)
        wait_until(lambda: statuses(webhook) == {"delivered"}, seconds=20)
    assert receiver.ids == [sent] * 3
    assert Delivery.objects.get(webhook=webhook).attempt == 3


@commits
def test_what_is_put_back_because_a_receiver_broke_does_not_count(receivers: Callable[..., Any]) -> None:
    organization = Organization.objects.create(name="Acme")
    receiver, url = receivers(lambda number: 500 if number > 1 else 200)
    webhook = make_webhook(organization, url)
    with dispatching_thread():
        log(organization.pk, 1)
        wait_until(lambda: statuses(webhook) == {"delivered"}, seconds=20)
        log(organization.pk, 20)
        wait_until(lambda: Delivery.objects.filter(webhook=webhook, response_status=500).count() == 20, seconds=20)
    assert receiver.most_at_once <= 4
    assert receiver.counts == dict(Delivery.objects.filter(webhook=webhook).values_list("entry_id", "attempt"))


@commits
def test_hanging_receivers_of_an_organization_do_not_delay_that_of_another(receivers: Callable[..., Any]) -> None:
    hanging, small = Organization.objects.create(name="Hanging"), Organization.objects.create(name="Small")
    release = threading.Event()
    held, url = receivers(lambda number: 200 if release.wait(20) else 500, host="0.0.0.0")
    for number in range(50):
        make_webhook(hanging, url.replace("0.0.0.0", f"127.0.1.{number + 1}"))
    receiver, own_url = receivers(host="127.0.0.2")
    make_webhook(small, own_url)
    try:
        with dispatching_thread():
            log(hanging.pk, 5)
            wait_until(lambda: len(held.received) == MAX_TRIES_PER_ORGANIZATION, seconds=10)
            began = time.time()
            log(small.pk, 5)
            wait_until(lambda: len(receiver.received) == 5, seconds=10)
            release.set()
    finally:
        release.set()
    assert max(at for at, _, _ in receiver.received) - began < 3
    assert held.most_at_once == MAX_TRIES_PER_ORGANIZATION


@commits
def test_hanging_receivers_at_an_address_do_not_delay_that_of_another_organization(
    receivers: Callable[..., Any],
) -> None:
    hanging, small = Organization.objects.create(name="Hanging"), Organization.objects.create(name="Small")
    release = threading.Event()
    held, url = receivers(lambda number: 200 if release.wait(20) else 500)
    for _ in range(2 * MAX_TRIES_PER_ADDRESS):
        make_webhook(hanging, url)
    receiver, own_url = receivers()
    make_webhook(small, own_url, delivered_at=clock.now())
    try:
        with dispatching_thread():
            log(hanging.pk, 5)
            wait_until(lambda: len(held.received) >= MAX_TRIES_OF_SOME, seconds=10)
            began = time.time()
            log(small.pk, 5)
            wait_until(lambda: len(receiver.received) == 5, seconds=5)
            release.set()
    finally:
        release.set()
    assert receiver.received[-1][0] - began < 3


@commits
def test_no_error_ends_the_loop(
    receivers: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatching, "LONGEST_PAUSE_SECONDS", 0.05)
    failures = iter([OperationalError("gone"), ValueError("odd"), OperationalError("gone")])

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            error = next(failures, None)
            if error:
                raise error
            return function(*args, **options)

        return run

    for name in ("run_round", "follow_once", "render"):
        monkeypatch.setattr(dispatching, name, failing(getattr(dispatching, name)))
    monkeypatch.setattr(dispatching, "UNREADABLE", dispatching.UNREADABLE / 600)
    organization = Organization.objects.create(name="Acme")
    receiver, url = receivers()
    make_webhook(organization, url)
    with dispatching_thread():
        (sent,) = log(organization.pk, 1)
        wait_until(lambda: receiver.ids == [sent], lambda: caplog.text, 20)
    assert "failed and tries again: gone" in caplog.text
