"""Parameters in PostgreSQL's binary format, which needs no quoting, and the types of the parameters."""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from decisions.stores.statements import Kind

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# The OIDs of pg_type.
TEXT, BYTEA, INT8, TIMESTAMPTZ = 25, 17, 20, 1184
OIDS = {
    Kind.TEXTS: 1009,
    Kind.INTS: 1016,
    Kind.BYTESS: 1001,
    Kind.TIMES: 1185,
    Kind.BYTES: BYTEA,
    Kind.TIME: TIMESTAMPTZ,
    Kind.TEXT: TEXT,
}

_INT8 = struct.Struct("!q")
_LENGTH = struct.Struct("!i")
# One dimension, no nulls, the type of the elements, their number, and the index of the first.
_ARRAY = struct.Struct("!iiiii")


def encode(kinds: Sequence[Kind], values: Sequence[Any]) -> list[bytes]:
    """Return the parameters of a statement, all in binary format."""
    return [_ENCODERS[kind](value) for kind, value in zip(kinds, values, strict=True)]


def _array(oid: int, items: Sequence[bytes]) -> bytes:
    parts = [_ARRAY.pack(1, 0, oid, len(items), 1)]
    for item in items:
        parts += (_LENGTH.pack(len(item)), item)
    return b"".join(parts)


def _time(moment: datetime) -> bytes:
    return _INT8.pack((moment - EPOCH) // MICROSECOND)


_ENCODERS: dict[Kind, Callable[[Any], bytes]] = {
    Kind.BYTES: bytes,
    Kind.TIME: _time,
    Kind.TEXT: str.encode,
    Kind.TEXTS: lambda texts: _array(TEXT, [text.encode() for text in texts]),
    Kind.INTS: lambda numbers: _array(INT8, [_INT8.pack(number) for number in numbers]),
    Kind.BYTESS: lambda items: _array(BYTEA, items),
    Kind.TIMES: lambda moments: _array(TIMESTAMPTZ, [_time(moment) for moment in moments]),
}
