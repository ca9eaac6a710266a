"""Which events occurred: in the journal, in the log after its last segment, and in segments."""

from itertools import combinations

import pytest

from audit.entries.drafts import Draft
from audit.events import Event
from audit.readers import occurred
from audit.readers.criteria import Criteria
from audit.readers.waiting import waiting_entries
from audit.selectors import occurred_in_organization
from audit.sequencing.sequencer import sequence
from audit.services import record
from core.actor import SYSTEM
from tests.audit.segments import shrink_segments
from tests.shared import cases

pytestmark = pytest.mark.postgresql

OURS, THEIRS = "org_ours", "org_theirs"
EVENTS = (Event.AGENT_CREATED, Event.TOKEN_ISSUED, Event.TOKEN_VERIFY, Event.CONSENT_APPROVED)


@pytest.fixture(autouse=True)
def _small_segments(db, monkeypatch):
    shrink_segments(monkeypatch, 8)


def write(event, organization_id=OURS, agent_id="agt_1", times=1):
    for _ in range(times):
        record(Draft(event=event, actor=SYSTEM, organization_id=organization_id, agent_id=agent_id))


@cases("place", ["journal", "tail", "segments"])
@cases("events", [found for size in (0, 1, 3) for found in combinations(EVENTS, size)], ids=str)
def test_exactly_the_events_of_the_organization_and_the_agent_are_found(place, events):
    for event in EVENTS:
        write(event, THEIRS)
        if event not in events:
            write(event, agent_id="agt_2")
    for event in events:
        write(event)
    if place == "segments":
        write(Event.USER_SIGNED_IN, THEIRS, times=8)
    if place != "journal":
        sequence()
    assert occurred_in_organization(OURS, EVENTS, agent_id="agt_1") == set(events)
    assert occurred_in_organization(OURS, EVENTS) == set(EVENTS)
    assert occurred_in_organization("org_none", EVENTS) == set()


def test_each_place_may_have_one_of_them():
    write(Event.AGENT_CREATED)
    write(Event.USER_SIGNED_IN, THEIRS, times=7)
    write(Event.TOKEN_ISSUED)
    sequence()
    write(Event.TOKEN_VERIFY)
    assert occurred_in_organization(OURS, EVENTS) == set(EVENTS) - {Event.CONSENT_APPROVED}


def test_an_entry_that_is_moved_after_the_journal_was_read_is_found_in_it():
    write(Event.TOKEN_VERIFY)
    journal = list(waiting_entries())
    assert journal
    sequence()
    assert occurred_in_organization(OURS, EVENTS, journal=journal) == {Event.TOKEN_VERIFY}


def test_it_needs_few_queries_whatever_the_number_of_events(django_assert_max_num_queries):
    write(Event.USER_SIGNED_IN, times=20)
    sequence()
    with django_assert_max_num_queries(4):
        assert occurred_in_organization(OURS, EVENTS) == set()


def test_an_event_is_found_however_long_ago_it_occurred(monkeypatch):
    monkeypatch.setattr(occurred, "READ", 1)
    write(Event.TOKEN_ISSUED)
    write(Event.AGENT_CREATED, THEIRS)
    write(Event.USER_SIGNED_IN, times=40)
    write(Event.AGENT_CREATED, times=15)
    sequence()
    assert occurred.find_events(Criteria(organization_id=OURS), EVENTS) == {Event.AGENT_CREATED, Event.TOKEN_ISSUED}
    assert occurred.find_events(Criteria(organization_id=THEIRS), EVENTS) == {Event.AGENT_CREATED}
