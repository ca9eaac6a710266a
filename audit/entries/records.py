"""Records: what the log keeps of an entry. `finish` makes one without the database, `place` gives it its index."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from audit.entries import parts
from audit.entries.journal import Journaled
from audit.entries.outlines import Outline, Outlines
from audit.entries.packing import pack, unpack
from audit.sequencing.streams import Numbers

LEAF_PREFIX = b"\x00"
WITHHELD = b"withheld"
NO_PERSONAL, NO_WITHHELD = b'"personal":null', b',"withheld":null}'


class Record(NamedTuple):
    """A finished entry. `body` is the evidence, as canonical JSON.

    `personal` is to be encrypted under the key of the outline's subject, or empty.
    """

    id: str
    body: bytes
    personal: bytes
    opening: "Opening"
    timestamp: datetime
    amount: Mapping[str, Any] | None
    mark: int
    outline: Outline


class Opening(NamedTuple):
    """What opens the commitments to withheld parts and, once the entry is placed, to stream numbers."""

    secret: bytes
    withheld: Mapping[str, Any]

    def withheld_disclosures(self) -> list[bytes]:
        return parts.disclosures(self.secret + WITHHELD, self.withheld)


def finish(entry: Journaled, outlines: Outlines | None = None) -> Record:
    """Return the record of an entry. Raises `ValueError` if the log, or its readers, cannot take it.

    `outlines` are those that earlier calls have found.
    """
    outline, entry_id, timestamp, mark, amount, withheld = (outlines or Outlines()).read(entry)
    opening = Opening(os.urandom(parts.SECRET_BYTES), withheld)
    sealed, personal_root = _finish_personal(entry.personal)
    withheld_root = parts.commit(opening.secret + WITHHELD, _named(entry.withheld)) if withheld else None
    body = _with_roots(entry.record, personal_root, withheld_root)
    return Record(entry_id, body, sealed, opening, timestamp, amount, mark, outline)


def leaf(body: bytes, index: int, streams: str | None) -> bytes:
    """Return the bytes of a leaf of the tree: the record with its index and the root of its stream numbers."""
    return b'{"index":%d,"record":%b,"streams":%b}' % (index, body, b'"%b"' % streams.encode() if streams else b"null")


def hash_leaf(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1)."""
    return hashlib.sha256(LEAF_PREFIX + data).digest()


def stream_disclosures(secret: bytes, names: Sequence[str], numbers: Numbers) -> list[bytes]:
    """Return the disclosures of an entry's numbers, in the order of `names`."""
    return parts.encoded_disclosures(secret, list(zip(names, _encode_numbers(numbers), strict=True)))


def commit_numbers(secret: bytes, names: Sequence[bytes], numbers: Numbers) -> str | None:
    """Return the root of `stream_disclosures`, or None for an entry in no stream."""
    return parts.commit(secret, list(zip(names, _encode_numbers(numbers), strict=True))) if names else None


def encode_opening(opening: Opening, numbers: Numbers) -> bytes:
    """Return the bytes that the log keeps of an opening."""
    totals = numbers.totals and [*numbers.totals]
    return opening.secret + orjson.dumps([numbers.plain, totals, opening.withheld or None])


def decode_opening(stored: bytes | memoryview) -> tuple[Opening, Numbers]:
    """Return what `encode_opening` stored. Raises `ValueError` if that was damaged."""
    stored = bytes(stored)
    try:
        plain, totals, withheld = orjson.loads(stored[parts.SECRET_BYTES :])
        return Opening(stored[: parts.SECRET_BYTES], withheld or {}), Numbers.from_lists(plain, totals)
    except (TypeError, LookupError, ArithmeticError) as error:
        raise ValueError(f"Not an opening: {error!r}") from error


def open_personal(plain: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the secret and the parts of personal data, once decrypted. Raises `ValueError` if they were damaged."""
    found: dict[str, Any] = orjson.loads(unpack(plain[parts.SECRET_BYTES :]))
    return plain[: parts.SECRET_BYTES], found


def _encode_numbers(numbers: Numbers) -> list[bytes]:
    plain = [b'{"number":%d}' % number for number in numbers.plain]
    return plain if numbers.totals is None else [*plain, numbers.totals.encode()]


def _finish_personal(personal: Sequence[tuple[str, bytes]]) -> tuple[bytes, str | None]:
    """Return the personal data to encrypt, and its root."""
    if not personal:
        return b"", None
    secret, encoded = os.urandom(parts.SECRET_BYTES), _named(personal)
    together = b"{%b}" % b",".join([b'"%b":%b' % one for one in encoded])
    return secret + pack(together), parts.commit(secret, encoded)


def _named(encoded: Sequence[tuple[str, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), part) for name, part in encoded]


def _with_roots(record: bytes, personal: str | None, withheld: str | None) -> bytes:
    """Return the record with the roots in their places. Raises `ValueError` if it has no such places.

    The last member is `withheld`. Behind `personal` there are only texts and lists of texts, in which a quotation mark
    is escaped, so its last occurrence is the member itself.
    """
    place = record.rindex(NO_PERSONAL)
    if not record.endswith(NO_WITHHELD):
        raise ValueError("The record does not end with the member withheld.")
    before, between = record[:place], record[place + len(NO_PERSONAL) : -len(NO_WITHHELD)]
    return b'%b"personal":%b%b,"withheld":%b}' % (before, _or_null(personal), between, _or_null(withheld))


def _or_null(found: str | None) -> bytes:
    return b"null" if found is None else b'"%b"' % found.encode()
