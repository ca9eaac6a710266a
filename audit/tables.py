"""Writes of many records at a time into the tables of the log, past the ORM, which would take ten times as long."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from audit.columns import Columns
from audit.events import Event, Outcome
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
SAVE_LAST_USES = """
    INSERT INTO audit_lastuse (consent_id, used_at) {values} ON CONFLICT (consent_id)
    DO UPDATE SET used_at = excluded.used_at WHERE audit_lastuse.used_at < excluded.used_at
"""


def insert_records(records: Sequence[Record]) -> None:
    """Insert finished entries, and note the last uses among them. Raises a `DatabaseError`, and then inserts none."""
    if not records:
        return
    columns = [columns_of(record) for record in records]
    tables = _rows_of(records, columns)
    if connection.vendor != "postgresql":
        _insert_each(tables)
    elif len(records) <= FEW:
        _insert_at_once(tables)
    else:
        _copy(tables)
    _save_last_uses(columns)


def _rows_of(records: Sequence[Record], columns: Sequence[Columns]) -> list[Rows]:
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


def _save_last_uses(columns: Sequence[Columns]) -> None:
    """Note when each consent last allowed a verify. Only those who hold the sequencer's lock write such entries."""
    used = sorted((one.consent_id, one.timestamp) for one in columns if one.consent_id and _is_use(one))
    values = [(consent_id, connection.ops.adapt_datetimefield_value(at)) for consent_id, at in dict(used).items()]
    if not values:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = "SELECT * FROM unnest(%s::text[], %s::timestamptz[])"
            cursor.execute(SAVE_LAST_USES.format(values=arrays), [list(column) for column in zip(*values, strict=True)])
        else:
            cursor.executemany(SAVE_LAST_USES.format(values="VALUES (%s, %s)"), values)


def _is_use(columns: Columns) -> bool:
    return columns.event == Event.TOKEN_VERIFY and columns.outcome == Outcome.ALLOWED
