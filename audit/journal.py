"""The journal: decisions write their records here, one row per batch, and the sequencer copies them into the log.

A row's body is lines of ASCII or canonical JSON, which contains no line breaks. The first is `{"v":1}`. Then each
record has three: its salt in hexadecimal, its body and its personal data.
"""

from collections.abc import Sequence

from audit.columns import read_columns
from audit.records import Record
from core.canonical import sha256

TABLE = "audit_journal"
HEAD = b'{"v":1}'
LINES_PER_RECORD = 3


class DamagedRowError(Exception):
    """A row of the journal cannot be read: it is damaged, or a newer version wrote it."""


def encode(records: Sequence[Record]) -> bytes:
    """Return the body of a row."""
    lines = [HEAD]
    for record in records:
        lines += (record.salt.hex().encode(), record.body, record.personal)
    return b"\n".join(lines)


def decode(body: bytes | memoryview) -> list[Record]:
    """Return the records of a row. Raises `DamagedRowError` if any of them cannot be read or was changed."""
    head, *lines = bytes(body).split(b"\n")
    if head != HEAD:
        raise DamagedRowError(f"Unknown version: the row starts with {head[:40]!r}.")
    if len(lines) % LINES_PER_RECORD:
        raise DamagedRowError(f"Truncated: {len(lines)} lines are not a multiple of {LINES_PER_RECORD}.")
    return [_read(*lines[start : start + LINES_PER_RECORD]) for start in range(0, len(lines), LINES_PER_RECORD)]


def _read(salt: bytes, body: bytes, personal: bytes) -> Record:
    try:
        columns, raw_salt = read_columns(body), bytes.fromhex(salt.decode("ascii"))
    except ValueError as error:
        raise DamagedRowError(f"Not a record: {error}") from error
    if sha256(raw_salt + personal) != columns.personal:
        raise DamagedRowError(f"The personal data of {columns.id} was changed.")
    return Record(columns.id, body, raw_salt, personal, columns)
