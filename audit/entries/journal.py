"""The journal: what must be logged is written here first, one row per batch, and the sequencer moves it into the log.

A row is one JSON value, compressed, because the database writes it twice, and encrypted under a key of its own purpose,
because it contains personal data and the file keeps pages of deleted rows for a while.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, get_args

import orjson

from audit.entries.drafts import FORMAT_VERSION, SERVICES, Prepared
from audit.entries.packing import pack, unpack
from audit.events import Outcome
from core import crypto
from core.actor import Kind

TABLE = "audit_journal"
PURPOSE = "audit-journal"
VERSION = 1
OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME
OPTIONAL, OBJECT = frozenset({str, type(None)}), frozenset({dict})
KINDS, OUTCOMES = frozenset(get_args(Kind)), frozenset(map(str, Outcome))
MAX_LENGTH = 64
LOG_ID = re.compile(r"log_[0-9a-f]{32}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")
_optional = itemgetter("organizationId", "userId", "agentId", "consentId", "reason", "action", "requestId")


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
    """Return an entry if the log and its readers can take it. The sequencer pays for this with each entry.

    Joining refuses what is not text.
    """
    actor, services, scopes = content["actor"], content["serviceOrganizationIds"], content["scopes"]
    if not OBJECT.issuperset(map(type, (content, personal, withheld, actor, content["metadata"]))):
        raise ValueError("A member is not an object.")
    if type(services) is not list or type(scopes) is not list:
        raise ValueError("A member is not a list.")
    optional = (actor["id"], *_optional(content))
    if not OPTIONAL.issuperset(map(type, optional)):
        raise ValueError("A member has the wrong type.")
    if not LOG_ID.fullmatch(content["id"]) or not _is_moment(content["timestamp"]):
        raise ValueError("The id or the timestamp is malformed.")
    if content["v"] != FORMAT_VERSION or content["outcome"] not in OUTCOMES or actor["kind"] not in KINDS:
        raise ValueError("A member has an unknown value.")
    known = [content["event"], *services, *withheld.get(SERVICES, ()), *filter(None, optional[:5])]
    # They become columns, the names of keys, and a list that is separated by spaces.
    together = "".join(known)
    if max(map(len, known)) > MAX_LENGTH or not together.isascii() or " " in together or "\0" in together:
        raise ValueError("An id or the event is malformed.")
    "".join(scopes)
    return Prepared(content, personal, withheld)


@lru_cache(maxsize=256)  # the entries of a row often have the same
def _is_moment(text: str) -> bool:
    """Return whether this is a moment in UTC. Raises `ValueError` if it is one that no calendar has."""
    return bool(MOMENT.fullmatch(text) and datetime.fromisoformat(text))
