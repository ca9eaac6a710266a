"""Whether the log has new entries, at the cost of a few index lookups: for readers who ask every few seconds."""

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from django.db import connection

from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.snapshot import Snapshot

# A reader that lags behind this many entries is told that there are some.
MAX_LOOKED_AT = 5000
WRITTEN = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")
ENDS = """
    SELECT coalesce((SELECT leaf_index + 1 FROM audit_entry ORDER BY leaf_index DESC LIMIT 1), 0),
        coalesce((SELECT id FROM audit_journal ORDER BY id DESC LIMIT 1), 0)
"""


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of the log and of the journal: the size of the one, and the newest row of the other."""

    size: int
    row: int

    @classmethod
    def read(cls, written: str) -> Self | None:
        """Return what `str` has written, or None if it is something else."""
        found = WRITTEN.fullmatch(written)
        return cls(int(found[1]), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.size}.{self.row}"


def current_ends() -> Ends:
    with connection.cursor() as cursor:
        cursor.execute(ENDS)
        return Ends(*cursor.fetchone())


def may_have_news(log: Snapshot, criteria: Criteria, since: Ends, newest_known: str) -> bool:
    """Return whether entries that match may have been written since these ends.

    `newest_known` is the id of the newest one that the reader knows. In the log, this looks at columns only.
    """
    if not 0 <= log.size - since.size <= MAX_LOOKED_AT:
        return True
    waiting = takewhile(lambda one: one[0] != newest_known, log.waiting)
    if any(criteria.matches(entry) for _, entry in waiting):
        return True
    return Entry.objects.filter(**criteria.columns(), leaf_index__gte=since.size).order_by().exists()
