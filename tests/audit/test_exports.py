"""An export has exactly the entries of its stream and period, each with a proof, and its own entry at the end."""

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from audit.archiving.archive_format import decode_entry, encode_entry
from audit.database.triggers import remove_statements
from audit.entries import personal_keys
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.models import Cosignature, Entry, Journal
from audit.proof import exports, members
from audit.proof.exports import NotCovered, Period, begin_export, find_bounds
from audit.proof.members import CONNECTION, ORGANIZATION, PERSON, MissingEntry, Stream
from audit.readers.disclosure import visible_to_organization, visible_to_user
from audit.readers.reading import Visible
from audit.sequencing import postings
from audit.sequencing.postings import term
from audit.sequencing.sequencer import sequence
from tests.audit.exported import Exported, opened, read_export
from tests.audit.journals import ACTOR, write_row
from tests.audit.segments import shrink_segments
from tests.threads import race

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 1, tzinfo=UTC)
PEOPLE, ORGANIZATIONS = ("usr_1", "usr_2"), ("org_1", "org_2", "org_3")


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_segments(monkeypatch, 8)
    monkeypatch.setattr(members, "ROWS_PER_QUERY", 5)
    monkeypatch.setattr(members, "SEGMENTS_PER_QUERY", 2)
    monkeypatch.setattr(exports, "ENTRIES_PER_PIECE", 7)


def export(stream: Stream, since: datetime | None = None, until: datetime | None = None) -> Exported:
    ids = {PERSON: "user_id", CONNECTION: "consent_id", ORGANIZATION: "organization_id"}
    draft = Draft(Event.AUDIT_EXPORTED, ACTOR, **{ids[stream.kind]: stream.id})
    if stream.kind == CONNECTION:
        draft = draft._replace(user_id="usr_1")
    begun = begin_export(
        stream=stream, period=Period(since=since, until=until), draft=draft, find_visible=_reader(stream)
    )
    return read_export(b"".join(begun.pieces()))


def _reader(stream: Stream) -> Callable[[Mapping[str, Any]], Visible]:
    if stream.kind == ORGANIZATION:
        return lambda content: visible_to_organization(content, stream.id)
    return lambda content: visible_to_user(content, "usr_1")


def write_history(entries: int = 60, seed: int = 1) -> None:
    """Write entries of several streams, whose times are not quite in order."""
    chance = random.Random(seed)
    for number in range(entries):
        person = chance.choice(PEOPLE)
        at = START + timedelta(minutes=number + chance.choice((0, 0, 0, -3, 3)))
        own, service = chance.choice(ORGANIZATIONS), chance.choice([(), ORGANIZATIONS[:1], ORGANIZATIONS[1:2]])
        write_row(
            1, at, user_id=person, consent_id=f"cns_{person}", organization_id=own, service_organization_ids=service
        )
    sequence()


@pytest.mark.parametrize("own", ["org_1", None])
def test_services_learn_nothing_of_each_other(own: str | None) -> None:
    shared = {"service_organization_ids": ["org_2", "org_3"], "organization_id": own, "consent_id": "cns_1"}
    write_row(1, START, event=Event.CONSENT_REVOKED, outcome=Outcome.INFO, user_id="usr_1", **shared)
    sequence()

    readers = {"org_2": ("org_3",), "org_3": ("org_2",), "org_1": ()}
    for reader, others in readers.items():
        found = export(Stream(ORGANIZATION, reader))
        assert len(found.entries) == (1 if own is None and reader == "org_1" else 2)
        assert not any(other in json.dumps([found.header, found.entries, found.footer]) for other in others)
    shown = opened(export(Stream(PERSON, "usr_1")).entries[0], "withheld")
    assert shown["services"] == ["org_2", "org_3"]


def test_an_archived_entry_keeps_its_services() -> None:
    write_row(1, START, service_organization_ids=["org_2", "org_3"])
    sequence()
    (entry,) = Entry.objects.all()
    archived = decode_entry(encode_entry(entry))
    assert archived.organization_ids == entry.organization_ids == ["org_1", "org_2", "org_3"]


STREAMS = [
    Stream(PERSON, "usr_1"),
    Stream(CONNECTION, "cns_usr_1"),
    *(Stream(ORGANIZATION, one) for one in ORGANIZATIONS),
]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.id)
def test_an_export_has_every_entry_of_its_stream(small_segments: None, stream: Stream) -> None:
    write_history()
    exported = export(stream)
    members_of = [entry.leaf_index for entry in Entry.objects.order_by("leaf_index") if stream.has(entry)]
    assert [line["index"] for line in exported.entries] == members_of
    assert exported.numbers == list(range(1, len(members_of) + 1))
    assert exported.records[-1]["event"] == "audit.exported"
    assert exported.footer["stream"]["number"] == len(members_of)
    assert exported.header["format"] == "agentgate-audit-export/1"
    assert (exported.header["from"], exported.header["to"]) == (None, None)


def test_a_first_export_has_only_its_own_entry() -> None:
    exported = export(Stream(PERSON, "usr_new"))
    assert exported.numbers == [1]
    assert exported.records[0]["metadata"] == {"stream": "person"}


def naive_period(entries: Sequence[Entry], since: datetime | None, until: datetime | None) -> list[int]:
    """Return the indexes that an export of the period must have of these entries of its stream."""

    def is_before(entry: Entry) -> bool:
        return since is not None and entry.timestamp < since

    def is_after(entry: Entry) -> bool:
        return until is not None and entry.timestamp >= until

    inside = [place for place, entry in enumerate(entries) if not is_before(entry) and not is_after(entry)]
    later = [place for place, entry in enumerate(entries) if not is_before(entry)]
    low, high = (inside[0], inside[-1]) if inside else (later[:1] or [len(entries)]) * 2
    while low > 0 and (low >= len(entries) or not is_before(entries[low])):
        low -= 1
    while high < len(entries) - 1 and not is_after(entries[high]):
        high += 1
    return [entry.leaf_index for entry in entries[low : high + 1]]


def test_a_period_has_its_entries_and_their_neighbors(small_segments: None) -> None:
    write_history()
    moments = [None, *(START + timedelta(minutes=minute) for minute in (-10, 7, 8, 31, 70))]
    for stream, chosen in zip(STREAMS, (moments, moments[2:4], moments[2:4]), strict=False):
        export(stream)
        *entries, last = stream.ascending(0, 1000)
        for since, until in itertools.product(chosen, chosen):
            low, high = find_bounds(stream, Period(since=since, until=until), last)
            found = [entry.leaf_index for entry in stream.ascending(low, high) if entry.id != last.id]
            assert found == naive_period(entries, since, until), (stream, since, until)


@pytest.mark.parametrize("minutes", [(None, 30), (30, None), (10, 30), (-20, -10), (90, 95)])
def test_an_export_of_a_period_shows_that_it_is_complete(
    small_segments: None, minutes: tuple[int | None, int | None]
) -> None:
    write_history()
    since, until = (None if each is None else START + timedelta(minutes=each) for each in minutes)
    exported = export(STREAMS[0], since, until)
    assert exported.records[-1]["event"] == "audit.exported"
    assert exported.records[-1]["metadata"].keys() == {
        "stream",
        *(["from"] if since else []),
        *(["to"] if until else []),
    }
    check_period(exported, since, until)


def check_period(exported: Exported, since: datetime | None, until: datetime | None) -> None:
    """Check what the verifier requires (docs/evidence-formats.md)."""
    numbers = exported.numbers
    times = [datetime.fromisoformat(record["timestamp"]) for record in exported.records]
    assert numbers[:-1] == list(range(numbers[0], numbers[0] + len(numbers) - 1))
    assert numbers[0] == 1 or (since is not None and times[0] < since)
    if len(numbers) > 1:
        assert numbers[-2] == numbers[-1] - 1 or (until is not None and times[-2] >= until)


def test_entries_written_meanwhile_are_either_in_it_or_after_it() -> None:
    write_history(5)
    begun = begin_export(
        stream=STREAMS[0],
        period=Period(),
        draft=Draft(Event.AUDIT_EXPORTED, ACTOR, user_id="usr_1"),
        find_visible=_reader(STREAMS[0]),
    )
    pieces = begun.pieces()
    first = next(pieces)
    write_row(300, user_id="usr_1")
    sequence()
    exported = read_export(first + b"".join(pieces))
    assert exported.numbers == list(range(1, begun_number(exported) + 1))
    assert export(STREAMS[0]).footer["stream"]["number"] == begun_number(exported) + 301


def begun_number(exported: Exported) -> int:
    return int(exported.footer["stream"]["number"])


def test_values_with_the_same_term_are_not_confused(small_segments: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "term", lambda kind, value: 7)
    write_history(20)
    assert {record["userId"] for record in export(STREAMS[0]).records} == {"usr_1"}
    monkeypatch.setattr(postings, "term", term)


def test_without_a_sequencer_an_export_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: None)
    monkeypatch.setattr(exports, "WAIT_SECONDS", 0.05)
    with pytest.raises(NotCovered) as raised:
        export(STREAMS[0])
    assert raised.value.status == 503
    assert raised.value.retry_after == 2


@pytest.mark.django_db(transaction=True)
def test_only_two_exports_wait_at_a_time_and_the_others_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    are_waiting, may_go_on = threading.Barrier(3), threading.Event()
    waited = threading.local()
    one_sequencer = threading.Lock()  # a process has one

    def pause(seconds: float) -> None:
        if not hasattr(waited, "once"):
            waited.once = True
            are_waiting.wait(10)
        may_go_on.wait(10)
        with one_sequencer:
            sequence()

    def refuse() -> NotCovered:
        are_waiting.wait(10)
        try:
            with pytest.raises(NotCovered, match="has not begun") as raised:
                export(Stream(PERSON, "usr_2"))
        finally:
            may_go_on.set()
        return raised.value

    monkeypatch.setattr(exports, "pause", pause)
    monkeypatch.setattr(exports, "WAIT_SECONDS", 20.0)
    first, second, refused = race([lambda: export(STREAMS[0]), lambda: export(STREAMS[2]), refuse])

    assert first.records[-1]["event"] == second.records[-1]["event"] == "audit.exported"
    assert (refused.status, refused.retry_after) == (503, 2)
    assert not Entry.objects.filter(user_id="usr_2").exists()
    assert not Journal.objects.exists()


def test_exports_that_were_refused_leave_their_places_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(exports, "pause", lambda seconds: None)
        patch.setattr(exports, "WAIT_SECONDS", 0.0)
        for _ in range(exports.MAX_WAITING + 1):
            with pytest.raises(NotCovered, match="sequencer"):
                export(STREAMS[0])
    assert export(STREAMS[0]).numbers == list(range(1, exports.MAX_WAITING + 3))


def test_each_reader_sees_only_its_own_parts() -> None:
    write_row(1, service_organization_ids=("org_2",), resource="inbox/7", personal={"context": {"amount": 3}})
    sequence()
    person, own, service = (export(one).entries[0] for one in (STREAMS[0], STREAMS[2], STREAMS[3]))
    assert opened(person, "streams") == {
        "person": {"number": 1},
        "connection": {"allowed": 1, "denied": 0, "number": 1, "spent": {}},
    }
    assert opened(person, "personal") == {
        "resource": "inbox/7",
        "requestId": "req-12345678",
        "call": {"context": {"amount": 3}},
    }
    assert opened(own, "streams") == {"organization:org_1": {"number": 1}}
    assert opened(own, "personal") == {"ip": "203.0.113.7", "resource": "inbox/7", "requestId": "req-12345678"}
    assert opened(service, "streams") == {"organization:org_2": {"number": 1}}
    assert opened(service, "personal") == {
        "userAgent": "tests/1.0",
        "resource": "inbox/7",
        "requestId": "req-12345678",
    }
    assert [set(line["disclosures"]["personal"][-1]) for line in (own, service)] == [{"digest"}] * 2


def test_erased_data_is_not_disclosed_and_the_proof_holds() -> None:
    write_row(1, resource="inbox/7")
    sequence()
    personal_keys.destroy_keys(["usr_1"])
    exported = export(STREAMS[0])
    assert "personal" not in exported.entries[0]["disclosures"]
    assert json.loads(exported.entries[0]["entry"])["record"]["personal"]


@pytest.mark.django_db(transaction=True)
def test_an_export_breaks_off_at_a_missing_entry(small_segments: None) -> None:
    write_history(20)
    stream = STREAMS[0]
    with connection.cursor() as cursor:
        for statement in remove_statements(connection.vendor):
            cursor.execute(statement)
        index = next(stream.ascending(0, 7)).leaf_index
        cursor.execute("DELETE FROM audit_entry WHERE leaf_index = %s", [index])
    with pytest.raises(MissingEntry, match=f"index {index} is missing"):
        export(stream)


def test_an_export_waits_for_a_cosignature(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    write_row(3)
    sequence()
    line = "— witness.example AAAA"
    Cosignature.objects.create(size=3, witness="https://witness.example", line=line)
    pauses: list[int] = []

    def pause(seconds: float) -> None:
        sequence()
        pauses.append(1)
        if len(pauses) == 3:
            Cosignature.objects.create(size=4, witness="https://witness.example", line=line)

    monkeypatch.setattr(exports, "pause", pause)
    assert export(Stream(PERSON, "usr_1")).footer["checkpoint"].endswith(f"{line}\n")
    assert len(pauses) == 3


@pytest.mark.parametrize(("longest", "cosignature"), [(0.3, 60.0), (60.0, 0.3)])
def test_an_export_does_not_wait_long_for_a_witness(
    longest: float, cosignature: float, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AUDIT_WITNESSES = ["https://witness.example"]
    monkeypatch.setattr(exports, "WAIT_SECONDS", longest)
    monkeypatch.setattr(exports, "COSIGNATURE_SECONDS", cosignature)
    write_row(3)
    sequence()
    Cosignature.objects.create(size=3, witness="https://witness.example", line="— witness.example AAAA")
    started = time.monotonic()
    assert "witness.example" not in export(Stream(PERSON, "usr_1")).footer["checkpoint"]
    assert time.monotonic() - started < 10
