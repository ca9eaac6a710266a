"""Inserts of many records at a time into the tables of the log, past the ORM, which would take ten times as long."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from audit.columns import Columns
from audit.records import Record, columns_of
from core.canonical import sha256

Row = Sequence[Any]

ENTRY = ("audit_entry", ("id", "timestamp", "event", "outcome", "user_id", "agent_id", "consent_id", "body"))
CONCERN = ("audit_concern", ("organization_id", "entry_id"))
PERSONAL_DATA = ("audit_personaldata", ("entry_id", "salt", "data"))
PENDING_ENTRY = ("audit_pendingentry", ("entry_id", "digest"))


def insert_records(records: Sequence[Record]) -> None:
    """Insert finished entries and their personal data. Raises a `DatabaseError`, and then inserts none of them."""
    if not records:
        return
    columns = [columns_of(record) for record in records]
    insert = _copy if connection.vendor == "postgresql" else _insert
    insert(*ENTRY, [_entry(record, one) for record, one in zip(records, columns, strict=True)])
    insert(*CONCERN, [(organization_id, one.id) for one in columns for organization_id in one.organization_ids])
    insert(*PERSONAL_DATA, [(record.id, record.salt, record.personal.decode()) for record in records])
    insert(*PENDING_ENTRY, [(record.id, sha256(record.body)) for record in records])


def _entry(record: Record, columns: Columns) -> Row:
    return (
        columns.id,
        connection.ops.adapt_datetimefield_value(columns.timestamp),
        columns.event,
        columns.outcome,
        columns.user_id,
        columns.agent_id,
        columns.consent_id,
        record.body.decode(),
    )


def _insert(table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    places = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608


def _copy(table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
