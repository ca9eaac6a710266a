"""Writes of the audit log."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from audit.entries.drafts import Draft, prepare
from audit.entries.journal import TABLE, encode
from core import clock
from core.locks import after_decisions


def append(drafts: Sequence[Draft], *, at: datetime | None = None) -> list[str]:
    """Write the entries in the transaction of the acts they describe. Return their ids in order.

    In a revocation, they are written once the decisions in progress have ended. The log has the order of the journal's
    rows, so an entry of a decision that the revocation has waited for comes first.

    Raises `TransactionManagementError` outside a transaction: an entry must not outlive an act that is rolled back.
    Raises `ValueError` if JSON cannot represent a draft's metadata or personal data.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("append() must run in the transaction of the act that it records.")
    if not drafts:
        return []
    prepared = prepare(drafts, at or clock.now())
    body = encode(prepared)
    after_decisions(lambda: _insert(body))
    return [entry.id for entry in prepared]


def record(draft: Draft) -> str:
    """Write one entry. Return its id."""
    return append([draft])[0]


def _insert(body: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (body) VALUES (%s)", [body])  # noqa: S608
