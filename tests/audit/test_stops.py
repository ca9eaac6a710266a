"""The proof of a stop says what the log says: wherever the entries are, and also if a decision was allowed after it."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.entries.drafts import Draft, Prepared
from audit.events import Event, Outcome
from audit.models import Journal
from audit.proof.stops import (
    EVERYTHING,
    Level,
    StopProof,
    agent_level,
    connection_level,
    organization_level,
    person_level,
    prove_stop,
    recent_use,
)
from audit.readers import finding, snapshot
from audit.readers.criteria import Criteria
from audit.readers.snapshot import take_snapshot
from audit.readers.waiting import listed_waiting
from audit.sequencing import postings
from audit.sequencing.sequencer import sequence
from core.actor import SYSTEM
from tests.audit.journals import decision, write_drafts
from tests.audit.segments import shrink_segments
from tests.shared import cases

SIZE = 8
START = datetime(2026, 3, 1, tzinfo=UTC)
LEVELS = {
    "connection": connection_level("usr_1", "agt_1"),
    "person": person_level("usr_1"),
    "agent": agent_level("agt_1"),
    "organization": organization_level("org_1", ["agt_1"]),
    "everything": EVERYTHING,
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make segments, windows and batches so small that a few entries fill many."""
    shrink_segments(monkeypatch, SIZE)
    monkeypatch.setattr(postings, "MAX_LISTED", 3)
    monkeypatch.setattr(finding, "FIRST_READ", 1)
    monkeypatch.setattr(finding, "LARGEST_READ", 4)
    monkeypatch.setattr(finding, "MOST_ROWS", 5)
    monkeypatch.setattr(snapshot, "BATCH", 2)
    monkeypatch.setattr(snapshot, "IDS_PER_QUERY", 3)


def event_of(level: Level, event: Event, **fields: Any) -> Draft:
    """Return the draft of a stop at this level, or of its end."""
    scope = level.scope
    ids = {"organization_id": scope.organization_id, "user_id": scope.user_id, "agent_id": scope.agent_id}
    return Draft(event=event, actor=SYSTEM, **{**ids, **fields})


def random_drafts(level: Level, number: int, chance: random.Random) -> list[Draft]:
    """Return decisions, with stops of this level and of others, and their ends, in any order."""
    drafts: list[Draft] = []
    events = [one for stop, lifts in level.lifts.items() for one in (stop, *lifts)]
    for _ in range(number):
        ids = {
            "user_id": chance.choice(["usr_1", "usr_1", "usr_2", None]),
            "agent_id": chance.choice(["agt_1", "agt_1", "agt_2"]),
            "organization_id": chance.choice(["org_1", "org_1", "org_11"]),
        }
        if chance.random() < 0.2:
            own = event_of(level, chance.choice(events))
            drafts.append(own if chance.random() < 0.6 else own._replace(**ids))
        else:
            outcome = chance.choice([Outcome.ALLOWED, Outcome.DENIED])
            event = chance.choice([Event.TOKEN_VERIFY, Event.TOKEN_VERIFY, Event.TOKEN_INTROSPECTED])
            drafts.append(decision(**ids, event=event, outcome=outcome))
    return drafts


def write_rows(drafts: Sequence[Draft], chance: random.Random) -> list[Prepared]:
    written: list[Prepared] = []
    while len(written) < len(drafts):
        some = drafts[len(written) : len(written) + chance.randint(1, 4)]
        written += write_drafts(some, START + timedelta(seconds=len(written) + chance.choice([0, 0, -20])))
    return written


def expected(written: Sequence[Prepared], level: Level) -> tuple[Any, ...] | None:
    """Return what the proof must say, read entry by entry."""
    entries = [(one, listed_waiting(one)) for one in written]
    mine = [(place, one, each) for place, (one, each) in enumerate(entries) if level.scope.matches(each)]
    stops = []
    for event, lifts in level.lifts.items():
        places = [place for place, _, each in mine if each.event == event]
        if places:
            ends = [place for place, _, each in mine if each.event in lifts and place > places[-1]]
            stops.append((not ends, places[-1], ends[0] if ends else len(written)))
    if not stops:
        return None
    in_force, stop, end = max(stops)
    denied = level.narrower.get(entries[stop][1].event, level.scope)
    allowed = [each for each in mine if (each[2].event, each[2].outcome) == ("token.verify", "allowed")]
    uses = [place for place, _, each in allowed if denied.matches(each)]
    before = [place for place in uses if place < stop]
    return (
        written[stop].id,
        written[before[-1]].id if before else None,
        sum(stop < place < end for place in uses),
        None if in_force else entries[end][1].timestamp,
    )


def said(proof: StopProof | None) -> tuple[Any, ...] | None:
    if proof is None:
        return None
    last = proof.last_allowed
    return proof.entry_id, last.id if last else None, proof.allowed_after, proof.lifted_at


@cases("name", LEVELS)
@cases("logged", [0.0, 0.5, 1.0])
def test_the_proof_says_what_the_entries_say(name: str, logged: float) -> None:
    level, chance = LEVELS[name], random.Random(f"{name}{logged}")
    written: list[Prepared] = []
    for _ in range(4):
        written += write_rows(random_drafts(level, chance.randint(1, 25), chance), chance)
        if chance.random() < logged:
            sequence()
        assert said(prove_stop(level)) == expected(written, level)
    if logged == 1.0:
        sequence()
        assert said(prove_stop(level)) == expected(written, level)


def test_an_entry_in_the_log_has_its_index_and_a_checkpoint() -> None:
    (used,) = write_drafts([decision()])
    (stop,) = write_drafts([event_of(LEVELS["agent"], Event.AGENT_STOPPED, metadata={"reason": "Spam."})])
    waiting = prove_stop(LEVELS["agent"])
    assert waiting is not None
    assert waiting.last_allowed is not None
    assert (waiting.index, waiting.last_allowed.index, waiting.checkpoint) == (None, None, None)

    sequence()

    proof = prove_stop(LEVELS["agent"])
    assert proof is not None
    assert proof.last_allowed is not None
    assert (proof.entry_id, proof.index) == (stop.id, 1)
    assert (proof.last_allowed.id, proof.last_allowed.index) == (used.id, 0)
    assert (proof.event, proof.reason, proof.allowed_after) == ("agent.stopped", "Spam.", 0)
    assert str(proof.checkpoint).splitlines()[1] == "2"


def test_an_allowed_decision_after_the_stop_is_not_hidden() -> None:
    write_drafts([event_of(EVERYTHING, Event.EVERYTHING_STOPPED)])
    for number in (1, 2):
        write_drafts([decision(), decision(outcome=Outcome.DENIED)])
        sequence()
        proof = prove_stop(EVERYTHING)
        assert proof is not None
        assert (proof.last_allowed, proof.allowed_after) == (None, number)


def test_the_order_is_that_of_the_log_and_not_of_the_times() -> None:
    """A stop waits for decisions in progress, whose times can be a little later."""
    write_drafts([decision()], START + timedelta(seconds=1))
    write_drafts([event_of(EVERYTHING, Event.EVERYTHING_STOPPED)], START)

    proof = prove_stop(EVERYTHING)

    assert proof is not None
    assert proof.last_allowed is not None
    assert proof.last_allowed.timestamp > proof.stopped_at
    assert proof.allowed_after == 0


def test_introspections_and_other_entries_are_not_decisions() -> None:
    write_drafts([event_of(EVERYTHING, Event.EVERYTHING_STOPPED)])
    write_drafts([decision(event=Event.TOKEN_INTROSPECTED), decision(event=Event.USER_SIGNED_IN)])

    proof = prove_stop(EVERYTHING)

    assert proof is not None
    assert (proof.last_allowed, proof.allowed_after) == (None, 0)


@cases("logged", [0.0, 0.5, 1.0])
def test_a_snapshot_counts_and_finds_what_matches(logged: float) -> None:
    chance = random.Random(int(logged * 10))
    level = LEVELS["agent"]
    written: list[Prepared] = []
    for _ in range(10):
        written += write_rows(random_drafts(level, 20, chance), chance)
        if chance.random() < logged:
            sequence()
    found = take_snapshot()
    assert found.end == len(written)
    for _ in range(25):
        low, high = (chance.randint(0, len(written)) for _ in range(2))
        since = START + timedelta(seconds=chance.randint(-30, 250)) if chance.random() < 0.5 else None
        criteria = Criteria(user_id=chance.choice([None, "usr_1"]), event=Event.TOKEN_VERIFY, since=since)
        places = [place for place, one in enumerate(written) if criteria.matches(listed_waiting(one))]
        assert found.count(criteria, low, high) == sum(low <= place < high for place in places)
        assert [one.place for one in found.newest_first(criteria, high)] == [p for p in reversed(places) if p < high]


def test_recent_use_is_that_of_the_last_day() -> None:
    now = START + timedelta(days=3)
    write_drafts([decision()] * 30, now - timedelta(hours=25))
    sequence()
    write_drafts([decision()] * 21 + [decision(agent_id="agt_2")], now - timedelta(hours=24))
    sequence()
    write_drafts([decision(outcome=Outcome.DENIED), decision()], now - timedelta(minutes=1))

    use = recent_use(LEVELS["agent"], now)

    assert (use.allowed_last_day, use.last_allowed_at) == (22, now - timedelta(minutes=1))
    assert recent_use(agent_level("agt_3"), now) == (0, None)


def test_entries_that_are_moved_meanwhile_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    write_drafts([decision()] * 5)
    write_drafts([event_of(EVERYTHING, Event.EVERYTHING_STOPPED)])
    waiting_entries = snapshot.waiting_entries

    def move_then_read() -> Any:
        found = list(waiting_entries())
        sequence()
        write_drafts([decision(outcome=Outcome.DENIED)])
        return iter(found)

    monkeypatch.setattr(snapshot, "waiting_entries", move_then_read)
    monkeypatch.setattr(snapshot, "MOST_ROWS", 2)  # a longer journal is not read by the statement that reads the sizes
    proof = prove_stop(EVERYTHING)

    assert proof is not None
    assert proof.last_allowed is not None
    assert (proof.index, proof.last_allowed.index, proof.allowed_after) == (5, 4, 0)


@cases("name", ["connection", "everything"])
def test_the_cost_does_not_grow_with_the_decisions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many queries after many decisions as after few, within one window of segments."""
    monkeypatch.setattr(finding, "FIRST_READ", 1000)
    level = LEVELS[name]
    costs = []
    for number in (20, 200):
        write_drafts([decision()] * number)
        write_drafts([event_of(level, next(iter(level.lifts)))])
        write_drafts([decision(outcome=Outcome.DENIED)] * number)
        sequence()
        assert not Journal.objects.exists()
        with CaptureQueriesContext(connection) as queries:
            proof = prove_stop(level)
        assert proof is not None
        assert proof.allowed_after == 0
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 20
