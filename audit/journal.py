"""The journal: what must be logged is written here first, one row per batch, and the sequencer moves it into the log.

A row is one JSON value, compressed, because the database writes it twice, and encrypted under a key of its own purpose,
because it contains personal data and the file keeps pages of deleted rows for a while.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson

from audit.drafts import Prepared
from audit.packing import pack, unpack
from core import crypto

TABLE = "audit_journal"
PURPOSE = "audit-journal"
VERSION = 1
OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME
TEXT, ID, OBJECT = frozenset({str}), frozenset({str, type(None)}), frozenset({dict})
_texts = itemgetter("id", "timestamp", "event", "outcome")
_ids = itemgetter("organizationId", "userId", "agentId", "consentId")


class DamagedRowError(Exception):
    """A row of the journal cannot be read: it is damaged, or another version or secret wrote it."""


def encode(entries: Sequence[Prepared]) -> bytes:
    """Return the body of a row. Raises `ValueError` if JSON cannot represent an entry."""
    try:
        return crypto.seal(PURPOSE, pack(orjson.dumps([VERSION, *map(tuple, entries)], option=OPTIONS)))
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from error


def decode(body: bytes | memoryview) -> list[Prepared]:
    """Return the entries of a row. Raises `DamagedRowError` if any of them cannot be read or was changed."""
    try:
        version, *entries = orjson.loads(unpack(crypto.open_sealed(PURPOSE, body)))
    except crypto.SealBroken as error:
        raise DamagedRowError("It was changed, or written with another JWT_SECRET.") from error
    except (ValueError, TypeError) as error:
        raise DamagedRowError(f"Not a row: {error}") from error
    if version != VERSION:
        raise DamagedRowError(f"Unknown version: {str(version)[:40]!r}.")
    try:
        return [_read(*entry) for entry in entries]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRowError(f"Not an entry: {error!r}") from error


def _read(content: Any, personal: Any, withheld: Any) -> Prepared:
    if not OBJECT.issuperset(map(type, (content, personal, withheld, content["actor"], content["metadata"]))):
        raise ValueError("A member is not an object.")
    services, scopes = content["serviceOrganizationIds"], content["scopes"]
    if type(services) is not list or type(scopes) is not list:
        raise ValueError("A member is not a list.")
    if not (TEXT.issuperset(map(type, (*_texts(content), *services))) and ID.issuperset(map(type, _ids(content)))):
        raise ValueError("A member has the wrong type.")
    return Prepared(content, personal, withheld)
