"""Writes of the audit log."""

import time
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from audit.entries.drafts import Draft, prepare
from audit.entries.journal import TABLE, encode_entry, seal, seal_rows
from audit.entries.records import finish
from core import clock
from core.locks import after_decisions
from core.sql import execute

PROBE_SECONDS = 1.0

_probed_at = float("-inf")


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
    entries = [encode_entry(each) for each in prepared]
    for entry in entries:
        finish(entry)  # what the log cannot take must fail now, and with it the act
    bodies = seal_rows(entries)
    after_decisions(lambda: _insert(*bodies))
    return [entry.id for entry in prepared]


def record(draft: Draft) -> str:
    """Write one entry. Return its id."""
    return append([draft])[0]


def probe() -> None:
    """Commit an empty row of the journal, which the sequencer deletes, unless this process has just committed one.

    Raises `DatabaseError` if it cannot be written: on a full disk, for example, reading still works.
    """
    global _probed_at
    if time.monotonic() < _probed_at + PROBE_SECONDS:
        return
    with transaction.atomic():
        _insert(seal([]))
    _probed_at = time.monotonic()


def _insert(*bodies: bytes) -> None:
    for body in bodies:
        execute(f"INSERT INTO {TABLE} (body) VALUES (%s)", [body])  # noqa: S608
