"""Searches find exactly the entries that match, newest first, wherever they are."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from audit.entries.drafts import Prepared
from audit.entries.facets import TOKEN_REASONS
from audit.entries.personal_keys import destroy_keys
from audit.events import Event, Outcome
from audit.models import Entry, Journal, Segment
from audit.readers import finding, search
from audit.readers.criteria import Criteria
from audit.readers.search import Listing, UnknownCursor, find_entry
from audit.readers.snapshot import take_snapshot
from audit.readers.waiting import listed_waiting
from audit.sequencing import postings, sequencer
from audit.sequencing.postings import term
from audit.sequencing.sequencer import sequence
from core.actor import Actor
from core.chains import Link
from tests.audit.journals import ACTOR, decision, ids_of, write_body, write_drafts, write_row
from tests.audit.segments import shrink_segments
from tests.shared import cases

SIZE = 8
START = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = {
    "organization_id": ["org_1", "org_11", "org_2"],
    "user_id": ["usr_1", "usr_2", "usr_rare", None],
    "agent_id": ["agt_1", "agt_2", None],
    "consent_id": ["cns_1", "cns_2", None],
    "event": [Event.TOKEN_VERIFY, Event.TOKEN_ISSUED],
    "outcome": [Outcome.ALLOWED, Outcome.DENIED],
    "action": ["email:send", "email:read", "crm:rare", None],
}
REQUESTS = [f"req_{number:032x}" for number in (1, 2, 1 + (1 << 40))]  # the first and the last share a mark
CHAIN = (Link("agt_above", None, "org_above"), Link("agt_1", "del_1", "org_1"))
# Drafts with a value for each facet, and the criteria that find them.
FACETS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"actor": "service"}),
    ({"actor": Actor("developer", "dev_1")}, {"actor": "dev_1"}),
    ({"metadata": {"resourceServerId": "res_2"}}, {"server_id": "res_2", "actor": "service"}),
    ({"scopes": ["crm:read", "crm:write"]}, {"action": "crm:write"}),
    ({"reason": "policy_denied", "metadata": {"ruleType": "rate_limit"}}, {"rule": "rate_limit"}),
    ({"reason": "consent_expired"}, {"rule": "consent_expired"}),
    ({"reason": "token_expired"}, {"reasons": TOKEN_REASONS}),
    ({"reason": "wrong_audience"}, {"reasons": ["wrong_audience", "consent_expired"]}),
    ({"policy_id": "pol_1", "policy_organization_id": "org_1"}, {"organization_id": "org_1", "policy_id": "pol_1"}),
    ({"policy_id": "pol_1", "policy_organization_id": "org_2"}, {"organization_id": "org_2", "policy_id": "pol_1"}),
    *[({"actor": Actor("service", "res_1", request_id=one)}, {"request_id": one}) for one in REQUESTS],
    ({"agent_id": "agt_1", "chain": CHAIN}, {"chain": "del_1"}),
    ({"agent_id": "agt_1", "chain": CHAIN}, {"chain": "agt_above", "organization_id": "org_above"}),
    ({}, {"chain": "agt_1"}),
    ({"reason": "policy_denied", "metadata": {"limitedBy": "delegation"}}, {"decider": "delegation"}),
]
EVENTS = [Event.TOKEN_VERIFY, Event.TOKEN_ISSUED, Event.USER_SIGNED_IN]
WEIGHTS = {4: [50, 30, 1, 19], 3: [60, 30, 10], 2: [80, 20]}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make segments and windows so small that a few entries fill many, and postings of both formats occur."""
    shrink_segments(monkeypatch, SIZE)
    monkeypatch.setattr(postings, "MAX_LISTED", 3)
    monkeypatch.setattr(finding, "FIRST_READ", 1)
    monkeypatch.setattr(finding, "LARGEST_READ", 4)
    monkeypatch.setattr(finding, "MOST_ROWS", 5)


def write_many(number: int, seed: int = 1) -> list[Prepared]:
    """Write rows of entries whose timestamps are mostly, but not strictly, in order. Return them, oldest first."""
    chance = random.Random(seed)
    written: list[Prepared] = []
    while len(written) < number:
        at = START + timedelta(seconds=len(written) + chance.choice([0, 0, 0, -40, 25]))
        drafts = [_random_decision(chance) for _ in range(chance.randint(1, 5))]
        written += write_drafts(drafts, at)
    return written


def _random_decision(chance: random.Random) -> Any:
    fields = {name: chance.choices(values, WEIGHTS[len(values)])[0] for name, values in KINDS.items()}
    fields |= chance.choice(FACETS)[0]
    return decision(**fields, service_organization_ids=chance.sample(["org_2", "org_11"], chance.randint(0, 2)))


def naive(entries: Sequence[Prepared], criteria: Criteria) -> list[str]:
    return [one.id for one in reversed(entries) if criteria.matches(listed_waiting(one))]


def found(criteria: Criteria, limit: int = 200) -> list[str]:
    """Return the ids on all pages."""
    ids, cursor = [], ""
    while True:
        entries, cursor = Listing(criteria).page(cursor, limit)
        assert len(entries) == limit or not cursor
        ids += [entry.id for entry in entries]
        if not cursor:
            return ids


def random_criteria(number: int) -> Iterator[Criteria]:
    chance = random.Random(2)
    for _ in range(number):
        names = chance.sample(list(KINDS), chance.randint(0, 4))
        fields: dict[str, Any] = {name: chance.choice([one for one in KINDS[name] if one]) for name in names}
        if chance.random() < 0.3:
            fields["events"] = chance.choice([EVENTS, EVENTS[:1], EVENTS[1:], [Event.USER_SIGNED_IN]])
        if chance.random() < 0.2:
            fields["agent_ids"] = chance.choice([["agt_1", "agt_2"], ["agt_2", "agt_3"], ["agt_3"]])
        if chance.random() < 0.4:
            fields |= chance.choice(FACETS)[1]
        since, until = sorted(START + timedelta(seconds=chance.randint(-50, 200)) for _ in range(2))
        yield Criteria(**fields, **{"since": since} if chance.random() < 0.3 else {})
        yield Criteria(**fields, until=until, **{"since": since} if chance.random() < 0.6 else {})


@pytest.mark.postgresql
@cases("waiting", [0, 13])
def test_all_filters_find_what_a_scan_finds(waiting: int) -> None:
    entries = write_many(150)
    sequence()
    entries += write_many(waiting, seed=3) if waiting else []
    assert Segment.objects.count() == Entry.objects.count() // SIZE > 15
    lengths = set()
    for criteria in random_criteria(15):
        expected = naive(entries, criteria)
        lengths.add(len(expected))
        assert found(criteria) == found(criteria, limit=7) == expected
    assert {0, 1} < lengths
    assert max(lengths) > 30


@cases(("fields", "wanted"), FACETS)
def test_a_facet_is_found_in_segments_after_them_and_in_the_journal(fields: Any, wanted: Any) -> None:
    criteria = Criteria(**{"organization_id": "org_1", **wanted})
    own = {"organization_id": criteria.organization_id, "action": "email:send", "service_organization_ids": ["org_3"]}
    entries = [
        one for _ in range(3) for one in write_drafts([decision(**own, **fields), *[decision(reason="x")] * SIZE])
    ]
    sequence()
    entries += write_drafts([decision(**own, **fields)])
    expected = naive(entries, criteria)
    assert len(expected) >= 4
    assert found(criteria) == found(criteria, limit=2) == expected
    log = take_snapshot()
    assert log.count(criteria) == len(expected)
    assert [one.id for one in log.newest(criteria, 2)] == expected[:2]
    for foreign in ("org_3", "org_9") if "policy_id" in wanted else ():
        assert not found(replace(criteria, organization_id=foreign))


@cases("limit", [1, 2, 4])
def test_actions_with_the_name_of_a_scope_do_not_hide_older_entries_with_the_scope(limit: int) -> None:
    wanted = write_drafts([decision(action="crm:read", scopes=["email:send"]) for _ in range(3)])
    write_drafts([decision(action="email:send", scopes=["crm:read"]) for _ in range(2 * SIZE)])
    sequence()
    assert Segment.objects.count() > 1
    log, criteria = take_snapshot(), Criteria(scope="email:send")
    assert [one.id for one in log.newest(criteria, limit)] == ids_of(wanted)[::-1][:limit]


@pytest.mark.postgresql
@cases(("waiting", "logged"), [(0, 150), (1, 5), (13, 150)])
def test_parts_are_counted_by_one_search(waiting: int, logged: int) -> None:
    """With `logged` entries below the size of a segment, all are in the tail of the log."""
    entries = write_many(logged)
    sequence()
    entries += write_many(waiting, seed=3) if waiting else []
    log = take_snapshot()
    for criteria in (Criteria(organization_id="org_2"), Criteria(agent_id="agt_1", events=EVENTS[:2], since=START)):
        allowed, denied = (replace(criteria, outcome=outcome) for outcome in (Outcome.ALLOWED, Outcome.DENIED))
        parts = [allowed, denied, replace(denied, reasons=TOKEN_REASONS), replace(criteria, rule="rate_limit")]
        expected = [naive(entries, part) for part in parts]
        newest, counts = log.last_and_counts(criteria, parts)
        assert counts == [*map(len, expected)]
        assert newest is not None
        assert newest.id == naive(entries, criteria)[0]
        rare, (number,) = log.last_and_counts(criteria, [parts[2]])
        assert (rare and rare.id, number) == (next(iter(expected[2]), None), counts[2])


def test_requests_that_share_a_mark_are_distinguished() -> None:
    entries = [write_row(1)[0] for _ in range(3 * SIZE)]
    entries += write_drafts([decision(actor=Actor("service", request_id=one)) for one in REQUESTS])
    sequence()
    assert [found(Criteria(request_id=one)) for one in REQUESTS] == [[one] for one in ids_of(entries[-3:])]
    assert found(Criteria(request_id="req_" + "0" * 32)) == []


def test_a_request_id_that_the_caller_chose_cannot_be_searched_for() -> None:
    (entry,) = write_row(1)
    assert entry.personal["requestId"] == ACTOR.request_id
    with pytest.raises(ValueError, match="cannot be searched"):
        Criteria(request_id=ACTOR.request_id)


@cases("boundary", [START + timedelta(seconds=number) for number in (0, 1, 40)])
def test_a_time_is_inclusive_at_the_start_and_exclusive_at_the_end(boundary: datetime) -> None:
    entries = [one for second in range(60) for one in write_row(1, START + timedelta(seconds=second))]
    sequence()
    number = int((boundary - START).total_seconds())
    assert found(Criteria(since=boundary)) == ids_of(entries[number:])[::-1]
    assert found(Criteria(until=boundary, user_id="usr_1")) == ids_of(entries[:number])[::-1]


def test_a_straggler_is_found_by_its_own_time() -> None:
    write_row(20, START + timedelta(days=9))
    (straggler,) = write_row(1, START)
    write_row(20, START + timedelta(days=9))
    sequence()
    for criteria in (Criteria(until=START + timedelta(days=1)), Criteria(until=START + timedelta(1), agent_id="agt_1")):
        assert found(criteria) == [straggler.id]


@cases(("number", "limit"), product([0, 1, SIZE - 1, SIZE, SIZE + 1, 3 * SIZE], [1, SIZE]))
def test_pages_at_the_edges_of_a_segment(number: int, limit: int) -> None:
    entries = write_row(number) if number else []
    sequence()
    assert found(Criteria(), limit) == found(Criteria(event="token.verify"), limit) == ids_of(entries)[::-1]


def test_terms_that_collide_show_no_entry_of_another_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "term", lambda kind, value: term(kind, "x"))
    monkeypatch.setattr("audit.readers.criteria.term", lambda kind, value: term(kind, "x"))
    entries = write_many(60)
    sequence()
    for criteria in random_criteria(10):
        assert found(criteria, limit=3) == naive(entries, criteria)


def test_an_id_that_ends_like_another_is_another() -> None:
    write_drafts([decision(organization_id="org_11org_1"), decision(organization_id="ORG_1")])
    (own,) = write_row(1)
    sequence()
    assert found(Criteria(organization_id="org_1")) == [own.id]


@pytest.mark.postgresql
class TestWhileTheSequencerWorks:
    """`after` is called when the journal was read, or in the middle of that."""

    @pytest.fixture
    def interrupt(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any], int], None]:
        def interrupt(act: Callable[[], Any], number: int) -> None:
            """Let `act` happen once a reader has read so many entries of the journal."""
            original = search.waiting_entries

            def waiting_entries() -> Iterator[Prepared]:
                for place, entry in enumerate(original()):
                    if place == number:
                        act()
                    yield entry
                act()

            monkeypatch.setattr(search, "waiting_entries", waiting_entries)

        return interrupt

    @cases(("number", "limit"), [(0, 1), (1, 4), (3, 200), (30, 4), (99, 200)])
    def test_nothing_is_missed_or_doubled(self, number: int, limit: int, interrupt: Any) -> None:
        entries = write_row(20)
        sequence()
        entries += [one for _ in range(30) for one in write_row(1)]
        interrupt(sequence, number)
        for criteria in (Criteria(), Criteria(user_id="usr_1", outcome="allowed")):
            assert found(criteria, limit) == ids_of(entries)[::-1]

    def test_entries_that_are_written_and_moved_meanwhile_come_first(self, interrupt: Any) -> None:
        entries = write_row(3)
        new: list[Prepared] = []

        def write_and_move() -> None:
            new.extend(write_row(2))
            sequence()

        interrupt(write_and_move, 99)
        assert found(Criteria()) == ids_of([*entries, *new])[::-1]

    def test_a_cursor_in_the_journal_stays_valid_when_it_moves(self) -> None:
        entries = write_row(12)
        for limit in (1, 5):
            shown, cursor = Listing(Criteria(user_id="usr_1")).page("", limit)
            sequence()
            write_row(2)
            older, _ = Listing(Criteria(user_id="usr_1")).page(cursor, 50)
            assert [one.id for one in [*shown, *older]] == ids_of(entries)[::-1]
            entries += [*waiting_rows()][-2:]

    def test_a_cursor_that_moves_while_it_is_looked_for(self, interrupt: Any) -> None:
        entries = write_row(5)
        interrupt(sequence, 0)
        older, _ = Listing(Criteria()).page(entries[2].id, 50)
        assert [one.id for one in older] == ids_of(entries[:2])[::-1]


def waiting_rows() -> list[Prepared]:
    return [*search.waiting_entries()][::-1]


@pytest.mark.postgresql
@pytest.mark.parametrize("is_logged", [True, False])
class TestCursors:
    def test_an_id_that_no_entry_has_is_refused(self, is_logged: bool) -> None:
        (entry,) = write_row(1)
        _move(is_logged)
        for cursor in ("log_" + "0" * 32, "x", "\x00", entry.id.replace("log_", "usr_"), entry.id.upper()):
            with pytest.raises(UnknownCursor):
                Listing(Criteria()).page(cursor, 5)

    def test_an_entry_of_another_tenant_is_refused(self, is_logged: bool) -> None:
        foreign, _ = write_drafts([decision(organization_id="org_2", user_id="usr_2"), decision()])
        _move(is_logged)
        for criteria in (Criteria(organization_id="org_1"), Criteria(user_id="usr_1")):
            with pytest.raises(UnknownCursor):
                Listing(criteria).page(foreign.id, 5)
            assert find_entry(criteria, foreign.id) is None

    def test_an_entry_is_found_by_its_id(self, is_logged: bool) -> None:
        first, _ = write_row(2)
        _move(is_logged)
        entry = find_entry(Criteria(user_id="usr_1"), first.id)
        assert entry
        assert entry.id == first.id
        assert find_entry(Criteria(), first.id.replace("log_", "usr_")) is None


def _move(is_logged: bool) -> None:
    if is_logged:
        sequence()


@cases("is_logged", [True, False])
def test_an_erased_persons_entries_are_listed_without_personal_data(is_logged: bool) -> None:
    write_drafts([decision(), decision(user_id="usr_2")])
    _move(is_logged)
    destroy_keys(["usr_1"])
    other, erased = Listing(Criteria())
    assert (erased.personal, erased.is_erased, erased.personal_parts) == ({}, True, {})
    assert (other.personal["ip"], other.is_erased) == ("203.0.113.7", False)


def test_a_damaged_row_is_left_out() -> None:
    (first,), _, (last,) = write_row(1), write_body(b"damaged"), write_row(1)
    assert found(Criteria()) == [last.id, first.id]


def test_a_page_reads_no_more_of_a_long_journal_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        write_row(1)
    read: list[object] = []
    monkeypatch.setattr("audit.readers.waiting.decode", lambda body: read.append(body) or [])
    assert Listing(Criteria()).page("", 3) == ([], "")
    assert len(read) == Journal.objects.count() == 100
    monkeypatch.undo()
    monkeypatch.setattr("audit.readers.waiting.FIRST_READ", 5)
    original = sequencer.decode
    read.clear()
    monkeypatch.setattr("audit.readers.waiting.decode", lambda body: read.append(body) or original(body))
    assert len(Listing(Criteria()).page("", 3)[0]) == 3
    assert len(read) == 4
