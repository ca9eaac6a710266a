"""The feed: all events of an organization, in the order of their numbers, wherever the log has them."""

from typing import Any

import pytest

from audit.archiving.archived import ArchiveUnavailable
from audit.events import Event
from audit.models import Entry
from audit.proof.members import MissingEntry
from audit.sequencing.sequencer import sequence
from core.errors import Invalid
from events import feed
from events.feed import FeedPage, Wanted, read_feed
from events.models import Milestone
from tests.audit.journals import decision, write_drafts, write_row
from tests.audit.segments import shrink_segments

SEGMENT = 8
ORGANIZATION = "org_1"
EVERYTHING = Wanted()
CONSENTS = Wanted(["consent.*"])

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_segments(monkeypatch, SEGMENT)


def write(event: Event = Event.CONSENT_REVOKED, **fields: Any) -> None:
    write_drafts([decision(event=event, **fields)])


def read(after: int = 0, wanted: Wanted = EVERYTHING, limit: int = 200, organization: str = ORGANIZATION) -> FeedPage:
    return read_feed(organization, wanted, after=after, limit=limit)


def numbers(page: FeedPage) -> list[int]:
    return [event["stream"]["number"] for event in page.events]


def fill(rounds: int = 12) -> None:
    """Log this many events of the organization, between others of another one."""
    for place in range(rounds):
        write(Event.CONSENT_REVOKED if place % 4 == 0 else Event.TOKEN_VERIFY)
        for _ in range(place % 4):
            write(organization_id="org_2")
    sequence()


def follow(end: int) -> None:
    """Note milestones of the entries before the index `end`, as the follower does."""
    last: dict[int, int] = {}
    number = 0
    for entry in Entry.objects.filter(leaf_index__lt=end).order_by("leaf_index"):
        if ORGANIZATION in entry.organization_ids:
            number += 1
            last[entry.leaf_index // SEGMENT] = number
    for segment, newest in last.items():
        Milestone.objects.create(organization_id=ORGANIZATION, segment=segment, number=newest)


@pytest.mark.parametrize("followed", [0, 3, 12, 20, 1000])
def test_from_every_number_the_rest_follows_without_gaps(followed: int) -> None:
    fill()
    follow(followed)
    assert Entry.objects.count() > 3 * SEGMENT
    for after in range(13):
        page = read(after)
        assert numbers(page) == [*range(after + 1, 13)]
        assert (page.next, page.is_last) == (12, True)
        page = read(after, limit=3)
        assert numbers(page) == [*range(after + 1, min(after + 4, 13))]
        assert page.next == min(after + 3, 12)


def test_the_same_events_are_those_of_the_entries() -> None:
    fill()
    ids = [one.id for one in Entry.objects.order_by("leaf_index") if ORGANIZATION in one.organization_ids]
    assert [event["id"] for event in read().events] == ids
    assert {event["stream"]["id"] for event in read().events} == {ORGANIZATION}


def test_an_organization_has_numbers_of_its_own() -> None:
    fill()
    write(organization_id="org_3", service_organization_ids=[ORGANIZATION])
    sequence()
    assert numbers(read(12)) == [13]
    assert numbers(read(organization="org_3")) == [1]
    assert len(read(organization="org_2").events) == 18
    assert read(organization="org_4") == FeedPage([], 0, Entry.objects.count() - 1, is_last=True)


def test_an_entry_appears_once_it_has_a_number() -> None:
    write()
    assert read().events == []
    sequence()
    assert numbers(read()) == [1]


def test_filters_leave_events_out_and_next_is_the_last_number_examined() -> None:
    fill()
    page = read(wanted=CONSENTS)
    assert (numbers(page), page.next) == ([1, 5, 9], 12)
    page = read(wanted=CONSENTS, limit=2)
    assert (numbers(page), page.next, page.is_last) == ([1, 5], 5, False)
    page = read(9, wanted=CONSENTS)
    assert (numbers(page), page.next, page.is_last) == ([], 12, True)
    write(agent_id="agt_2")
    sequence()
    assert numbers(read(wanted=Wanted(None, {"agt_2"}))) == [13]
    assert numbers(read(wanted=Wanted(["token.*"], {"agt_2"}))) == []
    assert numbers(read(wanted=Wanted(["*"]))) == [1, 5, 9, 13]
    assert numbers(read(wanted=Wanted(["token.verify"]), limit=2)) == [2, 3]


def test_a_page_examines_a_limited_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_EXAMINED", 3)
    monkeypatch.setattr(feed, "ROWS_PER_QUERY", 2)
    fill()
    pages = [read(wanted=CONSENTS)]
    while not pages[-1].is_last:
        pages.append(read(pages[-1].next, wanted=CONSENTS))
    assert [number for page in pages for number in numbers(page)] == [1, 5, 9]
    assert [page.next for page in pages] == [3, 6, 9, 12, 12]


@pytest.mark.parametrize("followed", [0, 12, 1000])
def test_a_number_that_is_not_there_yet_is_refused(followed: int) -> None:
    fill()
    follow(followed)
    for after in (13, 500, 10**18 - 1):
        with pytest.raises(Invalid) as refused:
            read(after)
        assert [(one.field, str(one.message)) for one in refused.value.errors] == [
            ("after", "The last event has the number 12.")
        ]
    with pytest.raises(Invalid, match="number 0"):
        read(1, organization="org_4")


def test_a_page_costs_a_limited_number_of_queries(django_assert_max_num_queries: Any) -> None:
    for _ in range(40):
        write_row(SEGMENT)
    sequence()
    for after in (0, 100, 200, 319):
        with django_assert_max_num_queries(30):
            assert numbers(read(after, limit=1)) == [after + 1]
    follow(1000)
    for after in (0, 100, 200, 319):
        with django_assert_max_num_queries(10):
            assert numbers(read(after, limit=1)) == [after + 1]
    with django_assert_max_num_queries(8):
        assert read(320).events == []


def test_an_entry_that_is_missing_is_said_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fill()

    def fail(*args: Any) -> Any:
        raise MissingEntry

    monkeypatch.setattr(feed, "read_rows", fail)
    with pytest.raises(ArchiveUnavailable, match="archive cannot be read"):
        read()
