"""Checks the index of the readers: the postings of each complete segment, and its timestamps."""

from django.db import connection
from django.db.models import Max
from zstandard import ZstdDecompressor, ZstdError

from audit.models import Entry, Posting, Segment
from audit.sequencing import postings
from audit.sequencing.log import newest
from audit.sequencing.postings import OpenSegment, moment_of
from audit.verification import Bad

# One statement, because the sequencer may complete a segment between two.
ORPHANS = """
    SELECT min(segment) FROM audit_posting
    WHERE segment > (SELECT coalesce(max(number), -1) FROM audit_segment)
"""


class Segments:
    """Compares the stored segments with the entries."""

    def __init__(self) -> None:
        self._open = OpenSegment(0)

    def append(self, entry: Entry) -> None:
        if self._open.add_entry(entry):
            _compare_times(self._open)
            _compare_postings(self._open)
            self._open = OpenSegment(self._open.number + 1)

    def check_end(self) -> None:
        """Check that there are no segments beyond the entries."""
        last = Segment.objects.aggregate(last=Max("number"))["last"]
        first_open = self._open.number * postings.SEGMENT
        if last is not None and (last + 1) * postings.SEGMENT > newest().size:
            raise Bad(f"segment {last} is beyond the last entry", first_open)
        with connection.cursor() as cursor:
            cursor.execute(ORPHANS)
            (orphan,) = cursor.fetchone()
        if orphan is not None:
            raise Bad(f"there are postings of segment {orphan}, which is not complete", first_open)


def _compare_times(segment: OpenSegment) -> None:
    number, first, times = segment.number, segment.number * postings.SEGMENT, segment.timestamps
    stored: Segment | None = Segment.objects.filter(number=number).first()
    if stored is None:
        raise Bad(f"segment {number} is missing", first)
    try:
        plain = ZstdDecompressor().decompress(bytes(stored.timestamps), max_output_size=len(times.tobytes()))
    except ZstdError:
        plain = b""
    if plain != times.tobytes():
        raise Bad(f"the timestamps of segment {number} differ from the entries", first)
    if (stored.earliest, stored.latest) != (moment_of(min(times)), moment_of(max(times))):
        raise Bad(f"the earliest or latest time of segment {number} differs from the entries", first)


def _compare_postings(segment: OpenSegment) -> None:
    rows = Posting.objects.filter(segment=segment.number).values_list("term", "entries")
    stored, expected = {term: bytes(entries) for term, entries in rows}, dict(segment.postings())
    if stored == expected:
        return
    wrong = [term for term in stored.keys() | expected.keys() if stored.get(term) != expected.get(term)]
    offset, term = min((_first_difference(stored.get(term, b""), expected.get(term, b"")), term) for term in wrong)
    index = segment.number * postings.SEGMENT + offset
    raise Bad(f"the postings of term {term} in segment {segment.number} differ from the entries", index)


def _first_difference(stored: bytes, expected: bytes) -> int:
    """Return the lowest offset that only one of them has, or 0 if they only differ in their form."""
    try:
        difference = postings.to_mask(stored) ^ postings.to_mask(expected)
    except (ValueError, IndexError):
        return 0
    return (difference & -difference).bit_length() - 1 if difference else 0
