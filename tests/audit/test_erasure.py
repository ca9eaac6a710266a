"""Of an entry, only the personal data can change: it can be erased, together with its salt."""

import pytest
from django.db import DatabaseError, connection, transaction

from audit.models import Entry
from tests.audit.journals import write_row
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
