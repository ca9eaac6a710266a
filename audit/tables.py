"""Inserts of many records at a time into the tables of the log, past the ORM, which would take ten times as long."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from audit.columns import Columns
from audit.records import Record, columns_of

# So few records are inserted into all tables by one statement. Each COPY waits for the server twice.
FEW = 8


class Rows(NamedTuple):
    """Rows for a table, whose columns have these types on PostgreSQL."""

    table: str
    columns: Mapping[str, str]
    values: Sequence[Sequence[Any]]


ENTRY = {
    "id": "text",
    "timestamp": "timestamptz",
    "event": "text",
    "outcome": "text",
    "user_id": "text",
    "agent_id": "text",
    "consent_id": "text",
    "body": "text",
    "salt": "bytea",
    "personal_data": "text",
}
CONCERN = {"organization_id": "text", "entry_id": "text"}


def insert_records(records: Sequence[Record]) -> None:
    """Insert finished entries and their personal data. Raises a `DatabaseError`, and then inserts none of them."""
    if not records:
        return
    tables = _rows_of(records)
    if connection.vendor != "postgresql":
        _insert_each(tables)
    elif len(records) <= FEW:
        _insert_at_once(tables)
    else:
        _copy(tables)


def _rows_of(records: Sequence[Record]) -> list[Rows]:
    columns = [columns_of(record) for record in records]
    concerns = [(organization_id, one.id) for one in columns for organization_id in one.organization_ids]
    return [
        Rows("audit_entry", ENTRY, [_entry(record, one) for record, one in zip(records, columns, strict=True)]),
        Rows("audit_concern", CONCERN, concerns),
    ]


def _entry(record: Record, columns: Columns) -> Sequence[Any]:
    return (
        columns.id,
        connection.ops.adapt_datetimefield_value(columns.timestamp),
        columns.event,
        columns.outcome,
        columns.user_id,
        columns.agent_id,
        columns.consent_id,
        record.body.decode(),
        record.salt,
        record.personal.decode(),
    )


def _insert_each(tables: Sequence[Rows]) -> None:
    with connection.cursor() as cursor:
        for table, columns, values in tables:
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", values)  # noqa: S608


def _insert_at_once(tables: Sequence[Rows]) -> None:
    """Insert into all tables by one statement, with an array for each column."""
    inserts = [
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608
        f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())})"
        for table, columns, _ in tables
    ]
    named = ", ".join(f"insert_{number} AS ({insert})" for number, insert in enumerate(inserts[:-1]))
    arrays = [[row[place] for row in values] for _, columns, values in tables for place in range(len(columns))]
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {named} {inserts[-1]}", arrays)


def _copy(tables: Sequence[Rows]) -> None:
    for table, columns, values in tables:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
