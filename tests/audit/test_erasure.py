"""Destroying a key erases the personal data under it. The evidence stays."""

import pytest
from django.db import connection, transaction

from audit.database.triggers import draining
from audit.entries.drafts import Draft
from audit.entries.journal import TABLE
from audit.entries.personal_keys import destroy_keys
from audit.events import Event
from audit.models import Entry, Journal
from audit.readers.reading import read_entry
from audit.selectors import describe_for_user, entries_for_user
from audit.sequencing.log import hash_leaf, leaf_of
from audit.sequencing.sequencer import memory, sequence
from audit.services import record
from core.actor import SYSTEM, Actor
from tests.audit.journals import ids_of, logged_ids, write_body, write_row
from tests.log import log_entry, personal_data

pytestmark = pytest.mark.django_db


def test_the_entry_and_its_leaf_stay() -> None:
    (written,) = write_row(1, resource="inbox")
    before = log_entry(written.id)
    leaf = hash_leaf(leaf_of(Entry.objects.get()))
    assert before.personal == {"ip": "203.0.113.7", "userAgent": "tests/1.0", "resource": "inbox"}

    assert destroy_keys(["usr_1"]) == 1
    after = log_entry(written.id)
    assert (after.personal, after.personal_parts, after.is_erased) == ({}, {}, True)
    assert (before.content["requestId"], after.content["requestId"]) == ("req-12345678", None)
    assert (after.record, hash_leaf(leaf_of(Entry.objects.get()))) == (before.record, leaf)


def test_a_typed_reason_is_erased_with_the_user_and_shown_before() -> None:
    administrator = Actor("administrator", "usr_root")
    draft = Draft(Event.USER_DEACTIVATED, administrator, user_id="usr_1", metadata={"reason": "Ada called."})
    written = record(draft)
    assert log_entry(written).content["metadata"] == {"reason": "Ada called."}
    (shown,) = describe_for_user([log_entry(written)], "usr_1")
    assert (shown["metadata"], "reason" in shown["personal"]) == ({"reason": "Ada called."}, False)

    destroy_keys(["usr_1"])
    assert log_entry(written).content["metadata"] == {"reason": None}
    assert describe_for_user([log_entry(written)], "usr_1")[0]["metadata"] == {"reason": None}


def test_the_data_of_others_stays() -> None:
    (erased,), (kept,) = write_row(1), write_row(1, user_id="usr_2")
    sequence()
    destroy_keys(["usr_1"])
    assert personal_data(erased.id) == {}
    assert personal_data(kept.id)["ip"] == "203.0.113.7"


def test_an_erasure_reaches_what_is_in_the_journal() -> None:
    (waiting,) = write_row(1)
    destroy_keys(["usr_1"])
    assert [entry.personal for entry in entries_for_user("usr_1")] == [{}]
    sequence()
    assert (log_entry(waiting.id).personal, Entry.objects.get().sealed) == ({}, None)
    assert log_entry(waiting.id).is_erased


def test_later_entries_store_no_personal_data() -> None:
    destroy_keys(["usr_1"])
    (later,) = write_row(1)
    assert personal_data(later.id) == {}


def test_an_entry_that_never_had_personal_data_is_not_called_erased() -> None:
    entry = log_entry(record(Draft(event=Event.SIGNING_KEY_CREATED, actor=SYSTEM)))
    assert (entry.is_erased, entry.personal) == (False, {"ip": None, "userAgent": None, "resource": None})


def test_a_second_erasure_changes_nothing() -> None:
    write_row(1)
    sequence()
    assert [destroy_keys(["usr_1"]), destroy_keys(["usr_1"])] == [1, 0]


def test_data_moved_to_another_entry_cannot_be_read() -> None:
    """Otherwise a database administrator could attach one entry's data to another."""
    first, second = write_row(1, resource="first"), write_row(1, resource="second")
    sequence()
    one, other = Entry.objects.get(pk=first[0].id), Entry.objects.get(pk=second[0].id)
    one.sealed = other.sealed
    assert read_entry(one).personal == {}


class TestDamagedRows:
    def test_a_damaged_row_stays_and_is_counted(self) -> None:
        write_body(b"damaged")
        written = write_row(2)
        sequence()
        assert (len(memory.damaged), logged_ids()) == (1, ids_of(written))

    def test_one_can_be_deleted_as_documented(self) -> None:
        write_body(b"damaged")
        row = Journal.objects.get()
        with transaction.atomic(), draining(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [row.id])
        sequence()
        assert (len(memory.damaged), Journal.objects.count()) == (0, 0)
