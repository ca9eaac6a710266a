"""Reads of the journal: the entries that the sequencer has not moved into the log yet."""

from collections.abc import Iterator, Sequence

from audit.entries.drafts import Prepared
from audit.entries.journal import DamagedRowError, decode, read
from audit.models import Entry, Journal
from audit.sequencing.postings import Listed

# A row has up to a thousand entries. The journal is long if the sequencer has not run for a while; then the first rows
# are often enough, and all others are read together.
FIRST_READ, ROWS_PER_READ = 20, 1000


def waiting_entries() -> Iterator[Prepared]:
    """Yield the entries in the journal, newest first, but not those of damaged rows.

    Rows that are moved while this runs can be missing. They are in the log then.
    """
    rows = Journal.objects.order_by("-pk")
    older, wanted, is_last = rows, FIRST_READ, False
    while not is_last:
        found = list(older.values_list("pk", "body")[:wanted])
        for _, body in found:
            yield from entries_of_row(body)
        is_last = len(found) < wanted
        older, wanted = rows if is_last else rows.filter(pk__lt=found[-1][0]), ROWS_PER_READ


def entries_of_row(body: bytes | memoryview) -> list[Prepared]:
    """Return the entries of a row of the journal, newest first. Of a damaged row, none: those are in the log."""
    try:
        return [read(entry) for entry in decode(body)][::-1]
    except (DamagedRowError, ValueError):
        return []


def find_moved(found: Sequence[Prepared], end: int) -> set[str]:
    """Return the ids of those that are in the log, with an index before `end`."""
    if not found:
        return set()
    rows = Entry.objects.filter(leaf_index__lt=end, pk__in=[one.id for one in found])
    return set(rows.values_list("id", flat=True))


def listed_waiting(entry: Prepared) -> Listed:
    return Listed.from_content(entry.content, entry.withheld)
