"""Templates: the record of an entry that recurs, without its id, request id and time.

A template is cut from an entry that was encoded in the usual way, so what it fills in is what that way would give.
"""

from collections.abc import Sequence
from typing import NamedTuple

from audit.entries.drafts import Prepared
from audit.entries.journal import Journaled


class Template(NamedTuple):
    """The bytes of a record around its id, request id and timestamp, which is their order in canonical JSON."""

    pieces: tuple[bytes, bytes, bytes, bytes]

    def fill(self, entry_id: str, request_id: str, timestamp: str) -> bytes:
        """Return the record with these values, which must need no escaping."""
        first, second, third, last = self.pieces
        values = entry_id.encode(), request_id.encode(), timestamp.encode()
        return b"%b%b%b%b%b%b%b" % (first, values[0], second, values[1], third, values[2], last)


def template_of(entry: Prepared, encoded: Journaled) -> Template | None:
    """Return the template of an entry, or None if its values cannot be found for certain, or parts are withheld."""
    values = [entry.content[name] for name in ("id", "requestId", "timestamp")]
    if entry.withheld or not all(values):
        return None
    pieces = _pieces_around(encoded.record, [value.encode() for value in values])
    return None if pieces is None else Template(pieces)


def _pieces_around(record: bytes, values: Sequence[bytes]) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return the four pieces around three values. None unless each of them occurs once, in this order."""
    if any(record.count(value) != 1 for value in values):
        return None
    first, _, rest = record.partition(values[0])
    second, _, rest = rest.partition(values[1])
    third, found, last = rest.partition(values[2])
    return (first, second, third, last) if found else None
