"""Readers of the log see every decision that was answered before."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from audit import sequencer
from audit.models import Entry, Journal
from audit.selectors import entries_for_organization, entries_for_user, last_use
from audit.sequencer import catch_up
from core.locks import sequencing
from tests.audit.journals import ids_of, logged_ids, write_row
from tests.threads import race

READERS: dict[str, Callable[[], Any]] = {
    "an organization's log": lambda: entries_for_organization("org_1"),
    "a user's log": lambda: entries_for_user("usr_1"),
    "the admin site": lambda: admin.site._registry[Entry].get_queryset(RequestFactory().get("/")),
}

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_sees_what_is_in_the_journal(reader: str) -> None:
    first, second = write_row(1), write_row(2)
    assert [entry.id for entry in READERS[reader]()] == ids_of(first + second)[::-1]
    assert not Journal.objects.exists()


def test_the_last_use_of_a_consent_is_that_of_the_journal() -> None:
    (record,) = write_row(1)
    (used,) = Entry.objects.values_list(last_use("cns_1"), flat=True)[:1]
    assert used == Entry.objects.get(pk=record.id).timestamp


def test_an_empty_journal_costs_one_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        catch_up()
    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("opened", [transaction.atomic, sequencing])
def test_an_open_transaction_copies_and_undoes_it_when_it_fails(opened: Callable[[], Any]) -> None:
    records = write_row(1)
    with opened():
        catch_up()
        assert logged_ids() == ids_of(records)
        transaction.set_rollback(True)
    assert logged_ids() == []
    catch_up()
    assert logged_ids() == ids_of(records)


@pytest.mark.django_db(transaction=True)
def test_a_read_only_transaction_reads_what_was_copied_before(store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite has no read-only transactions")
    copied = write_row(1)
    catch_up()
    write_row(1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        assert [entry.id for entry in entries_for_user("usr_1")] == ids_of(copied)
    assert len(entries_for_user("usr_1")) == 2


def test_personal_data_that_was_erased_does_not_come_back() -> None:
    (erased,), (kept,) = write_row(1), write_row(1)
    assert Entry.objects.filter(pk=erased.id).erase_personal_data() == (1, 0)
    catch_up()
    assert list(Entry.objects.exclude(personal_data=None).values_list("pk", flat=True)) == [kept.id]
    assert logged_ids() == ids_of([erased, kept])


def test_the_manager_cannot_erase_all_personal_data() -> None:
    assert not hasattr(Entry.objects, "erase_personal_data")


@pytest.mark.django_db(transaction=True)
def test_readers_do_not_wait_for_entries_written_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load the journal is never empty, so a reader that waited for that would never answer."""
    insert_records = sequencer.insert_records

    def insert_and_write(records: Any) -> None:
        insert_records(records)
        write_row(1)

    monkeypatch.setattr(sequencer, "insert_records", insert_and_write)
    records = write_row(1)
    catch_up()
    assert logged_ids() == ids_of(records)
    assert Journal.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_readers_at_once_all_see_every_entry() -> None:
    records = [record for _ in range(20) for record in write_row(2)]
    for seen in race([lambda: [entry.id for entry in entries_for_user("usr_1")]] * 4):
        assert seen == ids_of(records)[::-1]
