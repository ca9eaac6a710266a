"""The follower notes the numbers of streams and queues each event once for each webhook that wants it."""

from datetime import timedelta

import pytest

from audit.entries.drafts import Draft
from audit.events import Event
from audit.sequencing.sequencer import sequence
from core import clock
from core.chains import Link
from developers.models import Organization
from events import following
from events.following import ENTRIES_PER_STRETCH, MAX_OUTSTANDING, catch_up, follow_once, start_of_now
from events.models import Delivery, Follower, Milestone, Webhook
from tests.audit.journals import ACTOR, write_drafts, write_row
from tests.audit.months import use_small_segments
from tests.threads import race

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
OTHER = "org_other"


@pytest.fixture
def organization() -> Organization:
    return Organization.objects.create(name="Acme")


def make_webhook(organization: Organization, *types: str, **fields: object) -> Webhook:
    values = {"url": "https://example.com/hook", "secret_sealed": b"", "created_at": clock.now(), **fields}
    return Webhook.objects.create(organization=organization, types=list(types), **values)


def log(organization_id: str, *events: Event, **fields: object) -> list[str]:
    """Log entries of these events. Return their ids."""
    drafts = [Draft(event=one, actor=ACTOR, organization_id=organization_id, **fields) for one in events]
    written = write_drafts(drafts)
    sequence()
    return [one.id for one in written]


def follow() -> int:
    total = 0
    while moved := follow_once():
        total += moved
    return total


def queued(webhook: Webhook) -> list[str]:
    return list(webhook.deliveries.order_by("leaf_index").values_list("entry_id", flat=True))


def end_all(webhook: Webhook) -> None:
    webhook.deliveries.update(due_at=None, status=Delivery.Status.DELIVERED)


def test_a_webhook_gets_the_events_of_its_organization_that_it_wants(organization: Organization) -> None:
    all_but_decisions = make_webhook(organization, "*")
    consents = make_webhook(organization, "consent.*")
    decisions = make_webhook(organization, "token.verify", "agent.*")
    of_agent = make_webhook(organization, "*", agent_ids=["agt_1"])
    off = make_webhook(organization, "*", is_enabled=False)
    wanted = (Event.CONSENT_APPROVED, Event.TOKEN_VERIFY, Event.AGENT_CREATED)
    approved, verified, created = log(organization.pk, *wanted, agent_id="agt_2")
    log(OTHER, *wanted)
    (revoked,) = log(organization.pk, Event.CONSENT_REVOKED, agent_id="agt_1")

    assert follow() == 7

    assert queued(all_but_decisions) == [approved, created, revoked]
    assert queued(consents) == [approved, revoked]
    assert queued(decisions) == [verified, created]
    assert queued(of_agent) == [revoked]
    assert queued(off) == []
    assert [*all_but_decisions.deliveries.order_by("number").values_list("number", flat=True)] == [1, 3, 4]


def test_what_was_handed_on_reaches_each_organization_of_the_chain_and_is_about_the_agent_that_acts(
    organization: Organization,
) -> None:
    own = organization.pk
    chain = (Link("agt_0", None, own), Link("agt_9", "del_1", "org_9"), Link("agt_1", "del_2", OTHER))
    above = make_webhook(organization, "delegation.*", "token.verify")
    of_agents = [make_webhook(organization, "*", agent_ids=[one]) for one in ("agt_0", "agt_1")]
    wanted = [Event.DELEGATION_CREATED, Event.TOKEN_VERIFY, Event.DELEGATION_ENDED]
    created, verified, ended = log(OTHER, *wanted, agent_id="agt_1", chain=chain)

    follow()

    assert queued(above) == [created, verified, ended]
    assert [queued(one) for one in of_agents] == [[], [created, ended]]


def test_a_test_event_is_for_the_webhook_that_it_names_whatever_it_wants(organization: Organization) -> None:
    tested, other = make_webhook(organization, "consent.*"), make_webhook(organization, "*")
    (entry_id,) = log(organization.pk, Event.WEBHOOK_TEST, metadata={"webhookId": tested.pk})
    follow()
    assert queued(tested) == [entry_id]
    assert queued(other) == []


def test_a_new_webhook_gets_only_what_happens_from_then_on(organization: Organization) -> None:
    log(organization.pk, Event.AGENT_CREATED)
    webhook = make_webhook(organization, "*", cursor_index=start_of_now())
    quiet = make_webhook(organization, "policy.*", cursor_index=start_of_now())
    (updated,) = log(organization.pk, Event.AGENT_UPDATED)

    follow()

    assert queued(webhook) == [updated]
    assert {*Webhook.objects.values_list("cursor_index", flat=True)} == {None}
    (created,) = log(organization.pk, Event.POLICY_CREATED)
    follow()
    assert queued(quiet) == [created]


def test_the_last_number_of_each_segment_is_noted(
    organization: Organization, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_segments(monkeypatch)
    monkeypatch.setattr(following, "SEGMENT", 8)
    monkeypatch.setitem(ENTRIES_PER_STRETCH, store, 5)
    for _ in range(6):
        log(organization.pk, *[Event.AGENT_UPDATED] * 2)
        log(OTHER, Event.AGENT_UPDATED)
    follow()
    found = Milestone.objects.order_by("organization_id", "segment").values_list("segment", "number")
    assert [*found.filter(organization_id=organization.pk)] == [(0, 6), (1, 11), (2, 12)]
    assert [*found.filter(organization_id=OTHER)] == [(0, 2), (1, 5), (2, 6)]


def test_with_a_hundred_outstanding_the_cursor_stops_and_nothing_is_forgotten(organization: Organization) -> None:
    webhook = make_webhook(organization, "agent.*")
    ids = log(organization.pk, *[Event.AGENT_UPDATED] * (2 * MAX_OUTSTANDING + 10))
    follow()
    webhook.refresh_from_db()
    assert queued(webhook) == ids[:MAX_OUTSTANDING]
    assert (webhook.cursor_index, webhook.cursor_number) == (MAX_OUTSTANDING, MAX_OUTSTANDING)
    ids += log(organization.pk, Event.AGENT_UPDATED)
    follow()
    catch_up(webhook)  # has no room
    assert queued(webhook) == ids[:MAX_OUTSTANDING]

    end_all(webhook)
    webhook.refresh_from_db()
    catch_up(webhook)
    webhook.refresh_from_db()
    assert webhook.cursor_index == 2 * MAX_OUTSTANDING
    end_all(webhook)
    catch_up(webhook)
    webhook.refresh_from_db()
    assert queued(webhook) == ids
    assert webhook.cursor_index is None
    ids += log(organization.pk, Event.AGENT_UPDATED)
    follow()
    assert queued(webhook) == ids


def test_what_is_sent_again_is_outstanding_again_and_has_one_row(organization: Organization) -> None:
    webhook = make_webhook(organization, "agent.*")
    ids = log(organization.pk, *[Event.AGENT_UPDATED] * 3)
    follow()
    webhook.deliveries.update(due_at=None, status=Delivery.Status.FAILED, attempt=10)
    Webhook.objects.update(cursor_index=1)
    webhook.refresh_from_db()
    catch_up(webhook)
    assert queued(webhook) == ids
    found = webhook.deliveries.order_by("leaf_index").values_list("status", "attempt")
    assert [*found] == [("failed", 10), ("retrying", 0), ("retrying", 0)]


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_follows_and_each_event_is_queued_once(
    organization: Organization, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENTRIES_PER_STRETCH, store, 16)
    webhook = make_webhook(organization, "agent.*")
    ids = log(organization.pk, *[Event.AGENT_UPDATED] * 90)
    moved = race([follow] * 4)  # as threads of one worker, which all hold it
    assert sum(moved) == len(ids)
    assert queued(webhook) == ids


def test_another_worker_follows_once_the_one_that_did_is_silent(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make_webhook(organization, "agent.*")
    Follower.objects.create(pk=1, holder="another", held_until=clock.now() + timedelta(seconds=5))
    (updated,) = log(organization.pk, Event.AGENT_UPDATED)
    assert follow_once() == 0
    now = clock.now() + timedelta(seconds=6)
    monkeypatch.setattr(clock, "now", lambda: now)
    assert follow_once() == 1
    assert queued(webhook) == [updated]


def test_a_hold_from_before_the_clock_was_set_back_is_none(organization: Organization) -> None:
    log(organization.pk, Event.AGENT_UPDATED)
    Follower.objects.create(pk=1, holder="another", held_until=clock.now() + timedelta(days=400))
    assert follow_once() == 1


@pytest.mark.django_db(transaction=True)
def test_one_that_catches_up_while_the_follower_goes_on_misses_nothing(
    organization: Organization, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENTRIES_PER_STRETCH, store, 4)
    webhook = make_webhook(organization, "agent.*", cursor_index=0)
    ids = log(organization.pk, *[Event.AGENT_UPDATED] * 60)
    follow_once()  # past the cursor
    Webhook.objects.update(cursor_index=0)

    def keep_catching_up() -> None:
        for _ in range(40):
            catch_up(Webhook.objects.get())

    race([follow, keep_catching_up])
    catch_up(Webhook.objects.get())
    assert queued(webhook) == ids
    assert Webhook.objects.get().cursor_index is None


def test_decisions_pass_without_reading_their_records(
    organization: Organization, django_assert_max_num_queries: object
) -> None:
    make_webhook(organization, "*")
    write_row(200, organization_id=organization.pk)
    sequence()
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        assert follow_once() == 200
    assert not Delivery.objects.exists()
