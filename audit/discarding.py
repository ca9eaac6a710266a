"""Damaged rows of the journal, for the operator who decides about them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from audit.condition import damaged_rows, is_damaged
from audit.database.triggers import draining
from audit.entries.drafts import Draft
from audit.entries.journal import TABLE, DamagedRowError, Journaled, decode, read
from audit.entries.stand_ins import stand_in
from audit.events import Event
from audit.models import Entry, Journal
from audit.services import record
from core.actor import SYSTEM


class NotDamaged(Exception):
    """The row can be moved into the log, so nothing may discard it."""


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row, and why it is damaged. `logged` of its `entries` are in the log, or what stands in for them.

    `entries` is None if it does not open. `sha256` is that of the row as it is stored.
    """

    id: int
    written_at: datetime
    size: int
    sha256: str
    why: str
    entries: int | None
    logged: int


def find_damaged_rows() -> list[DamagedRow]:
    """Return the damaged rows, oldest first."""
    return [_describe(row) for row in Journal.objects.filter(pk__in=damaged_rows()).order_by("pk")]


def discard(row_id: int, reason: str) -> str:
    """Delete a damaged row for good, and log that with its digest and the reason. Return the id of that entry.

    Raises `NotDamaged`, also without such a row, or if the sequencer has not logged its other entries yet.
    """
    with transaction.atomic():
        row = Journal.objects.filter(pk=row_id).first()
        if row is None or not is_damaged(row_id):
            raise NotDamaged(f"The journal has no damaged row {row_id}.")
        found = _describe(row)
        if found.entries is not None and found.logged < found.entries:
            raise NotDamaged(f"The log does not have all entries of row {row_id} yet. Let the sequencer run first.")
        with draining(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE id = %s", [row_id])  # noqa: S608
        facts = {"row": row_id, "sha256": found.sha256, "entries": found.entries, "logged": found.logged}
        return record(Draft(Event.JOURNAL_ROW_DISCARDED, SYSTEM, metadata={**facts, "reason": reason}))


def _describe(row: Journal) -> DamagedRow:
    body, entries, logged = bytes(row.body), None, 0
    try:
        found = decode(body)
        entries, logged = len(found), len(found) - _count_missing(found)
        why = _problem_with(found)
    except DamagedRowError as error:
        why = str(error)
    return DamagedRow(row.id, row.written_at, len(body), hashlib.sha256(body).hexdigest(), why, entries, logged)


def _problem_with(entries: Sequence[Journaled]) -> str:
    try:
        for entry in entries:
            read(entry)
    except ValueError as error:
        return f"An entry is damaged: {error}"
    return "Its entries are in the log, except for those that it refused."


def _count_missing(entries: Sequence[Journaled]) -> int:
    """Return how many entries the log does not have, nor what stands in for them."""
    ids = [_id_in_log(entry) for entry in entries]
    return len({*ids} - {*Entry.objects.filter(pk__in=ids).values_list("id", flat=True)})


def _id_in_log(entry: Journaled) -> str:
    try:
        return read(entry).id
    except ValueError:
        return read(stand_in(entry)).id
