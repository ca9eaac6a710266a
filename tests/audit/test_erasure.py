"""Of an entry, only the personal data can change: it can be erased, together with its salt."""

import pytest
from django.db import DatabaseError, connection, transaction

from audit.journal import TABLE
from audit.models import Entry, Erasure, Journal
from audit.triggers import draining
from tests.audit.journals import write_body, write_row
from tests.log import log_entry

ERASABLE = {"salt", "personal_data"}
COLUMNS = [field.column for field in Entry._meta.local_concrete_fields]

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> Entry:
    (record,) = write_row(1)
    return log_entry(record.id)


def update(assignments: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE audit_entry SET {assignments}")


def test_both_columns_become_null_together(entry: Entry) -> None:
    update("salt = NULL, personal_data = NULL")
    after = log_entry(entry.id)
    assert (after.salt, after.personal_data, after.personal) == (None, None, {})
    assert after.body == entry.body


@pytest.mark.parametrize("column", [*sorted(set(COLUMNS) - ERASABLE)])
def test_no_other_column_can_change(column: str, entry: Entry) -> None:
    with pytest.raises(DatabaseError, match="insert-only"):
        update(f"{column} = {column}, salt = NULL, personal_data = NULL")


@pytest.mark.parametrize(
    "assignments",
    ["salt = NULL", "personal_data = NULL", "personal_data = '{}'", "salt = salt, personal_data = NULL"],
)
def test_they_cannot_change_otherwise(assignments: str, entry: Entry) -> None:
    with pytest.raises(DatabaseError, match="insert-only"):
        update(assignments)
    assert log_entry(entry.id).personal_data == entry.personal_data


@pytest.mark.parametrize("table", ["audit_entry", "audit_journal"])
def test_a_row_cannot_be_replaced(table: str, entry: Entry, store: str) -> None:
    if store != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE")
    write_row(1)
    with (
        pytest.raises(DatabaseError, match="insert-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    assert log_entry(entry.id).body == entry.body


def test_erased_data_cannot_be_replaced(entry: Entry) -> None:
    update("salt = NULL, personal_data = NULL")
    with pytest.raises(DatabaseError, match="insert-only"):
        update('personal_data = \'{"ip":"203.0.113.9"}\'')


class TestDamagedRows:
    DAMAGED = b'{"v":9}\n{"ip":"203.0.113.7"}'

    def test_an_erasure_reports_the_rows_that_it_cannot_read(self) -> None:
        write_body(self.DAMAGED)
        write_row(2)
        for _ in range(2):
            assert Entry.objects.filter(user_id="usr_1").erase_personal_data() == Erasure(entries=2, damaged_rows=1)

    def test_one_can_be_deleted_as_documented(self) -> None:
        write_body(self.DAMAGED)
        row = Journal.objects.get()
        with transaction.atomic(), draining(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [row.id])
        assert Entry.objects.filter(user_id="usr_1").erase_personal_data() == Erasure(entries=0, damaged_rows=0)
