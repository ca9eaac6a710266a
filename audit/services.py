"""Writes of the audit log."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction

from audit.models import Concern, Entry, PendingEntry, PersonalData
from audit.records import Draft, Record, make_records
from core import clock
from core.canonical import sha256


def append(drafts: Sequence[Draft], *, at: datetime | None = None) -> list[str]:
    """Write the entries in the transaction of the acts they describe. Return their ids in order.

    Raises `TransactionManagementError` outside a transaction: an entry must not outlive an act that is rolled back.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("append() must run in the transaction of the act that it records.")
    records = make_records(drafts, at or clock.now())
    insert_records(records)
    return [record.id for record in records]


def insert_records(records: Sequence[Record]) -> None:
    """Insert finished entries and their personal data into the tables of the log."""
    entries = [_make_entry(record) for record in records]
    Entry.objects.bulk_create(entries)
    Concern.objects.bulk_create(concern for entry in entries for concern in _make_concerns(entry))
    PersonalData.objects.bulk_create(
        PersonalData(entry_id=record.id, salt=record.salt, data=record.personal.decode()) for record in records
    )
    PendingEntry.objects.bulk_create(PendingEntry(entry_id=record.id, digest=sha256(record.body)) for record in records)


def record(draft: Draft) -> str:
    """Write one entry. Return its id."""
    return append([draft])[0]


def _make_entry(record: Record) -> Entry:
    """Return the row of a record, whose columns are copies of parts of the body."""
    body = record.body.decode()
    content = json.loads(body)
    return Entry(
        id=record.id,
        timestamp=datetime.fromisoformat(content["timestamp"]),
        event=content["event"],
        outcome=content["outcome"],
        user_id=content["userId"],
        agent_id=content["agentId"],
        consent_id=content["consentId"],
        body=body,
    )


def _make_concerns(entry: Entry) -> Iterator[Concern]:
    return (Concern(organization_id=organization_id, entry_id=entry.id) for organization_id in entry.organization_ids)
