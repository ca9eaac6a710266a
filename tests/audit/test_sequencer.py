"""The sequencer moves each entry of the journal into the log exactly once."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from prometheus_client import REGISTRY

from audit.database.triggers import draining
from audit.discarding import discard, find_damaged_rows
from audit.entries import journal, personal_keys
from audit.entries.drafts import Prepared, prepare
from audit.entries.journal import TABLE, Journaled, encode_entry
from audit.entries.packing import pack
from audit.entries.records import decode_opening
from audit.events import Event
from audit.models import Checkpoint, Entry, Journal
from audit.sequencing import sequencer
from audit.sequencing.log import Log, Placed, Sealed
from audit.sequencing.sequencer import Memory, sequence
from audit.sequencing.streams import Numbers
from audit.signing.log_keys import stored_keys
from audit.verification import Bad
from audit.verification.log import verify_log
from core import clock, crypto, locks
from core.canonical import sha256
from core.locks import Busy, sequencing, sqlite_writer
from tests.audit.journals import decision, ids_of, logged_ids, unchecked, write_body, write_row, write_unchecked
from tests.shared import cases
from tests.threads import race

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FROM_THE_FUTURE = crypto.seal("audit-journal", pack(b'[9,"from the future"]'))

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


class MemoryOfThread(threading.local):
    """What a sequencer keeps, for each thread."""

    def __init__(self) -> None:
        self.__dict__.update({field.name: getattr(Memory(), field.name) for field in fields(Memory)})


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"agentgate_{name}") or 0.0


def test_rows_are_moved_oldest_first_in_several_transactions(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 4)
    steps: list[int] = []
    write = Placed.write
    monkeypatch.setattr(Placed, "write", lambda placed: (steps.append(len(placed.rows)), write(placed)))
    written = [entry for number in (3, 3, 1, 5) for entry in write_row(number)]

    assert sequence() == 12

    assert steps == [6, 6]
    assert logged_ids() == ids_of(written)


@pytest.mark.parametrize(("interval", "signatures"), [(3600.0, 1), (0.0, 3)], ids=["short", "long"])
def test_a_run_is_signed_at_its_end_and_a_long_one_also_before(
    interval: float, signatures: int, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 1)
    monkeypatch.setattr(sequencer, "INTERVAL_SECONDS", interval)
    monkeypatch.setattr(sequencer.memory, "signed_at", 0.0)
    for _ in range(3):
        write_row(1)

    sequence()

    assert [*Checkpoint.objects.order_by("size").values_list("size", flat=True)] == [1, 2, 3][-signatures:]


@pytest.mark.django_db(transaction=True)
def test_an_empty_journal_costs_one_query(django_assert_num_queries: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "SAVE_SECONDS", 0.0)
    write_row(1)
    sequence()
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert sequence() == 0


def test_an_empty_batch_is_removed() -> None:
    write_unchecked()
    assert sequence() == 0
    assert not Journal.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_sequencers_at_once_copy_each_entry_once(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "memory", MemoryOfThread())  # each thread stands for a process
    written = [record for _ in range(60) for record in write_row(5)]
    assert sum(race([sequence] * 4)) == len(written)
    assert logged_ids() == ids_of(written)
    assert not Journal.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("late_by", "pauses"), [(-1, 2), (1, 0)])
def test_decisions_get_pauses_unless_the_log_is_late(
    late_by: int, pauses: int, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 1)
    monkeypatch.setitem(sequencer.PAUSE_SECONDS, store, 0.001)
    slept: list[float] = []
    monkeypatch.setattr(sequencer.time, "sleep", slept.append)
    for _ in range(3):
        write_row(1, at=clock.now() - timedelta(seconds=sequencer.LATE_SECONDS + late_by))

    assert sequence() == 3

    assert slept.count(0.001) == pauses


@pytest.mark.django_db(transaction=True)
def test_a_long_journal_is_read_in_parts(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "ENTRIES_PER_READ", 4)
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 1)
    parts: list[int] = []
    read = sequencer._read
    monkeypatch.setattr(sequencer, "_read", lambda last: parts.append(len((found := read(last))[0])) or found)
    written = [record for _ in range(5) for record in write_row(2)]

    assert sequence() == 10

    assert parts == [2, 2, 1]
    assert logged_ids() == ids_of(written)


@pytest.mark.django_db(transaction=True)
def test_decisions_get_their_turn_while_a_long_journal_is_moved(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite, the sequencer leaves the database to others after each part."""
    if store != "sqlite":
        pytest.skip("PostgreSQL has many writers at a time")
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, store, 1)
    monkeypatch.setattr(sequencer, "LATE_SECONDS", 3600.0)
    written = [record for _ in range(40) for record in write_row(1)]
    pauses: list[tuple[float, bool]] = []

    def pause(seconds: float) -> None:
        is_free = sqlite_writer.acquire(0)
        if is_free:
            sqlite_writer.release()
        pauses.append((seconds, is_free))

    monkeypatch.setattr(sequencer, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    sequence()
    assert logged_ids() == ids_of(written)
    assert pauses == [(0.0, True)] + 39 * [(sequencer.PAUSE_SECONDS[store], True)]


@pytest.mark.django_db(transaction=True)
def test_entries_written_during_copying_are_moved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "memory", MemoryOfThread())  # each thread stands for a process

    def write() -> list[Prepared]:
        return [record for _ in range(30) for record in write_row(2)]

    def copy() -> None:
        for _ in range(20):
            sequence()

    written = race([write, copy, write, copy])
    sequence()
    assert sorted(logged_ids()) == sorted(ids_of(written[0] + written[2]))


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_commit_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_row(3)
    delete = sequencer._delete

    def crash(rows: Sequence[sequencer.Row]) -> set[int]:
        delete(rows)
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(sequencer, "_delete", crash)
        with pytest.raises(OperationalError):
            sequence()
    assert logged_ids() == []
    assert Journal.objects.count() == 1

    assert sequence() == 3
    assert logged_ids() == ids_of(written)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_commits_late_with_a_lower_id_is_moved() -> None:
    def write_late() -> None:
        with transaction.atomic():
            late.extend(write_row(1))
            race([lambda: early.extend(write_row(1))])
            race([sequence])

    late: list[Prepared] = []
    early: list[Prepared] = []
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, so rows commit in order")
    write_late()
    assert logged_ids() == ids_of(early)

    sequence()
    assert set(logged_ids()) == set(ids_of(early + late))
    assert late[0].id < early[0].id


def test_rows_that_another_process_has_moved_do_not_hide_how_late_the_log_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_lose(newest: int) -> Any:
        rows, damaged, last = read(newest)
        if len(rows) == 2:  # the first time: another process is faster with the second row
            with draining(), connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [rows[1].id])
        return rows, damaged, last

    read = sequencer._read
    monkeypatch.setattr(sequencer, "_read", read_and_lose)
    monkeypatch.setitem(sequencer.ENTRIES_PER_TRANSACTION, connection.vendor, 1)
    for _ in range(2):
        write_row(1, at=clock.now() - timedelta(seconds=60))

    assert sequence() == 1

    assert metric("sequencer_lag_seconds") >= 60


class TestDamagedRows:
    def test_a_damaged_row_stays_and_the_others_are_moved(self, caplog: pytest.LogCaptureFixture) -> None:
        before = write_row(1)
        write_body(FROM_THE_FUTURE)
        after = write_row(1)

        assert [sequence(), sequence()] == [2, 0]

        assert logged_ids() == ids_of(before + after)
        assert bytes(Journal.objects.get().body) == FROM_THE_FUTURE
        assert metric("damaged_journal_rows") == 1
        (message,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
        assert "Unknown version" in message.getMessage()

    def test_one_that_an_operator_deletes_is_no_longer_reported(self) -> None:
        write_body(FROM_THE_FUTURE)
        sequence()
        assert metric("damaged_journal_rows") == 1

        with transaction.atomic(), draining(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE}")

        sequence()
        assert metric("damaged_journal_rows") == 0

    @cases(
        ("name", "value"),
        [
            ("event", 7),
            ("event", None),
            ("timestamp", 7),
            ("timestamp", "yesterday"),
            ("userId", {"a": 1}),
            ("serviceOrganizationIds", {"a": 1}),
            ("serviceOrganizationIds", "org_1"),
            ("serviceOrganizationIds", 7),
            ("serviceOrganizationIds", [None]),
        ],
    )
    def test_a_member_of_the_wrong_type_is_recognized(self, name: str, value: object) -> None:
        (first, bad, last) = prepare([decision()] * 3, NOW)
        damaged = unchecked(bad, **{name: value})
        write_unchecked(encode_entry(first), damaged, encode_entry(last))

        assert [sequence(), sequence()] == [3, 0]

        assert logged_ids() == ids_of([first, bad, last])
        stand_in = Entry.objects.get(pk=bad.id)
        assert stand_in.event == Event.ENTRY_DAMAGED
        assert stand_in.content["metadata"] == {"entryId": bad.id, "sha256": sha256(damaged.record)}
        assert Journal.objects.count() == metric("damaged_journal_rows") == 1

    def test_a_stand_in_is_in_the_streams_of_the_damaged_entry(self) -> None:
        (bad,) = prepare([decision(service_organization_ids=["org_2", "org_3"])], NOW)
        write_unchecked(unchecked(bad, outcome="perhaps"))
        sequence()
        stand_in = Entry.objects.get()
        owners = (stand_in.organization_ids, stand_in.user_id, stand_in.agent_id, stand_in.consent_id)
        assert owners == (["org_1", "org_2", "org_3"], "usr_1", "agt_1", "cns_1")
        assert stand_in.timestamp == NOW

    @cases("record", [b"", b"1", b"{}", b'{"id":7,"timestamp":"2026-02-30T00:00:00Z"}'], ids=repr)
    def test_an_entry_that_cannot_be_read_at_all_leaves_its_digest(self, record: bytes) -> None:
        write_unchecked(Journaled(record, [], []))
        assert [sequence(), sequence()] == [1, 0]
        sequencer.forget()  # another process tries again
        assert sequence() == 0
        stand_in = Entry.objects.get()
        assert stand_in.content["metadata"] == {"entryId": None, "sha256": sha256(record)}
        assert (stand_in.organization_ids, stand_in.user_id) == ([], None)

    @pytest.mark.django_db(transaction=True)
    def test_the_log_verifies_with_a_stand_in(self) -> None:
        (bad,) = prepare([decision()], NOW)
        write_row(2)
        write_unchecked(unchecked(bad, event=None))
        write_row(2)
        sequence()
        (row,) = find_damaged_rows()
        with pytest.raises(Bad, match=rf"incomplete: 1 rows of the journal are damaged \({row.id}\)"):
            verify_log(stored_keys())

        discard(row.id, "A faulty version wrote it.")
        sequence()

        verified = verify_log(stored_keys())
        assert (verified.size, verified.damaged, verified.discarded) == (6, 1, 1)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("name", ["userId", "consentId"])
    def test_a_row_whose_key_the_database_refuses_stays(
        self, name: str, store: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if store != "postgresql":
            pytest.skip("SQLite takes keys of any length")
        monkeypatch.setattr(journal, "_check", lambda *_: None)
        good = write_row(2)
        (prepared,) = prepare([decision(user_id=None)], NOW)
        write_unchecked(encode_entry(prepared._replace(content={**prepared.content, name: "x" * 100})))
        good += write_row(1)
        monkeypatch.undo()

        assert [sequence(), sequence()] == [4, 0]

        assert sorted(logged_ids()) == sorted(ids_of([*good, prepared]))
        assert Journal.objects.count() == metric("damaged_journal_rows") == 1

    def test_a_row_that_cannot_be_encrypted_stays_and_the_others_are_moved(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(key: Any, entry_id: str, plain: bytes) -> bytes:
            if entry_id == bad.id:
                raise ValueError("boom")
            return encrypt(key, entry_id, plain)

        encrypt = personal_keys.encrypt
        monkeypatch.setattr(personal_keys, "encrypt", fail)
        good = write_row(2)
        (bad,) = write_row(1)
        good += write_row(1)

        assert [sequence(), sequence()] == [4, 0]

        assert logged_ids() == [*ids_of(good), bad.id]
        assert Entry.objects.get(pk=bad.id).event == Event.ENTRY_DAMAGED
        assert Journal.objects.count() == metric("damaged_journal_rows") == 1

    @pytest.mark.parametrize("error", [MemoryError(), OSError("boom"), OperationalError("boom")], ids=repr)
    @pytest.mark.parametrize(
        "place", [(sequencer, "finish"), (personal_keys, "keys_for"), (Placed, "write")], ids=lambda place: place[1]
    )
    @pytest.mark.django_db(transaction=True)
    def test_an_error_that_is_not_about_a_row_leaves_all_rows_for_the_next_run(
        self, error: Exception, place: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise error

        written = write_row(1) + write_row(2)
        with monkeypatch.context() as patch:
            patch.setattr(*place, fail)
            with pytest.raises(type(error)):
                sequence()
        assert not sequencer.memory.damaged

        assert sequence() == 3
        assert logged_ids() == ids_of(written)

    def test_rows_that_the_database_refuses_stay(self, store: str) -> None:
        (first, second) = write_row(2)
        sequence()
        good = [write_row(1) for _ in range(3)]
        write_unchecked(encode_entry(first))
        good += [write_row(2) for _ in range(4)]

        assert sequence() == 11

        assert logged_ids() == ids_of([first, second, *(record for records in good for record in records)])
        assert Journal.objects.count() == 1

    @pytest.mark.parametrize(("function", "stands_in"), [("decode", False), ("finish", True)])
    def test_a_row_that_causes_an_unexpected_error_stays_and_the_others_are_moved(
        self, function: str, stands_in: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        good = write_row(2)
        (bad,) = write_row(1, user_id="usr_bad")
        good += write_row(1)
        original = getattr(sequencer, function)

        def fail(given: Any, *others: Any) -> Any:
            found = original(given, *others)
            if (bad.id in str(given) and "entry.damaged" not in str(given)) or (
                function == "decode" and bad.id in str(found)
            ):
                raise RuntimeError("boom")
            return found

        monkeypatch.setattr(sequencer, function, fail)

        assert [sequence(), sequence()] == [3 + stands_in, 0]

        monkeypatch.undo()
        assert logged_ids() == [*ids_of(good), *([bad.id] if stands_in else [])]
        assert Journal.objects.count() == 1
        message = next(record for record in caplog.records if record.levelno == logging.CRITICAL)
        assert message.exc_info

    @pytest.mark.django_db(transaction=True)
    def test_a_row_that_cannot_be_placed_stays_and_the_numbers_of_the_others_have_no_gap(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sequence()
        good = write_row(2)
        (bad,) = write_row(1, user_id="usr_bad")
        good += write_row(1)
        place = Log._place

        def fail(log: Log, entry: Sealed, index: int, month: int) -> Any:
            placed = place(log, entry, index, month)
            if entry.record.id == bad.id and entry.record.outline.texts[0] == Event.TOKEN_VERIFY:
                raise RuntimeError("boom")
            return placed

        monkeypatch.setattr(Log, "_place", fail)

        assert sequence() == 4

        assert logged_ids() == [*ids_of(good), bad.id]
        assert [numbers.plain[0] for numbers in stored_numbers()] == [1, 2, 3, 4]
        assert Journal.objects.count() == 1


def stored_numbers() -> list[Numbers]:
    """Return the numbers of all entries, in order."""
    return [decode_opening(entry.opening)[1] for entry in Entry.objects.order_by("leaf_index")]


class TestProtection:
    @pytest.mark.parametrize("act", ["update", "delete", "truncate"])
    def test_only_the_sequencer_deletes(self, act: str, store: str) -> None:
        write_row(1)
        statements = {
            "update": f"UPDATE {TABLE} SET body = body",
            "delete": f"DELETE FROM {TABLE}",
            "truncate": f"TRUNCATE {TABLE}" if store == "postgresql" else f"DELETE FROM {TABLE} WHERE 1",
        }
        with (
            pytest.raises(DatabaseError, match=r"insert-only|audit_is_sequencing"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statements[act])
        assert Journal.objects.count() == 1

    def test_after_copying_the_rest_of_the_transaction_cannot_delete(self) -> None:
        write_row(1)
        sequence()
        write_row(1)
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE}")
        assert Journal.objects.count() == 1


def test_bodies_are_stored_without_compression(store: str) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = 'audit_journal'::regclass AND attname = 'body'"
        )
        assert cursor.fetchone() == ("e",)


def test_a_run_reports_how_old_the_oldest_entry_was() -> None:
    counted = metric("sequenced_entries_total")
    write_row(2, at=clock.now() - timedelta(seconds=30))
    write_row(1)

    sequence()

    assert 30 <= metric("sequencer_lag_seconds") < 60
    assert metric("sequenced_entries_total") == counted + 3
    sequence()
    assert metric("sequencer_lag_seconds") == 0


@pytest.mark.django_db(transaction=True)
def test_a_sequencer_that_does_not_wait_leaves_the_journal_to_the_other(store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite has one writer at a time, so each waits for the other")
    write_row(1)

    def try_to_move() -> str:
        try:
            return str(sequence(wait=False))
        except Busy:
            return "busy"

    with sequencing():
        assert race([try_to_move]) == ["busy"]
    assert race([try_to_move]) == ["1"]


def test_a_reader_that_waited_leaves_the_bounds_of_its_transaction(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")
    with transaction.atomic(), connection.cursor() as cursor:
        locks._wait_for_sequencer()
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
