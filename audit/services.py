"""Writes of the audit log."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from audit.records import Draft, make_records
from audit.tables import insert_records
from core import clock


def append(drafts: Sequence[Draft], *, at: datetime | None = None) -> list[str]:
    """Write the entries in the transaction of the acts they describe. Return their ids in order.

    Raises `TransactionManagementError` outside a transaction: an entry must not outlive an act that is rolled back.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("append() must run in the transaction of the act that it records.")
    records = make_records(drafts, at or clock.now())
    insert_records(records)
    return [record.id for record in records]


def record(draft: Draft) -> str:
    """Write one entry. Return its id."""
    return append([draft])[0]
