"""Postings that an older version did not write, made from the entries."""

from audit.archiving.archived import entries_at
from audit.database.tables import insert_postings
from audit.sequencing import postings
from audit.sequencing.log import complete_segments
from audit.sequencing.postings import OpenSegment
from core.locks import sequencing


def repost() -> int:
    """Write the missing postings of all complete segments, one transaction each. Return the number of segments.

    Raises `ArchiveUnavailable` if entries are archived and the archive cannot be read. It can then run again.
    """
    number = complete_segments()
    for segment in range(number):
        found = _read(segment)
        with sequencing(wait=True):
            insert_postings(found)
    return number


def _read(number: int) -> OpenSegment:
    segment, first = OpenSegment(number), number * postings.SEGMENT
    for entry in entries_at(range(first, first + postings.SEGMENT)):
        segment.add(entry)
    return segment
