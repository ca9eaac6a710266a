"""The journal: what must be logged is written here first, one row per batch, and the sequencer moves it into the log.

A row has the bytes that the log hashes, so nothing is encoded twice, and an entry that the log could not take is
refused before anything is committed. It is compressed, because the database writes it twice, and encrypted under a key
of its own purpose, because it contains personal data and the file keeps pages of deleted rows for a while.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, get_args

import orjson

from audit.entries.drafts import AMOUNT, CHAINED_VERSION, FORMAT_VERSION, SERVICES, Prepared
from audit.entries.packing import pack, unpack
from audit.events import Outcome
from audit.sequencing.streams import add_amount
from core import crypto
from core.actor import Kind
from core.canonical import canonical_json, encode_common

TABLE = "audit_journal"
PURPOSE = "audit-journal"
VERSION = 2
# Of the entries of a row, unless one alone is longer. A batch can have ten thousand entries: those of shadow policies.
ROW_BYTES = 1024 * 1024
# Of one entry. In a line of the archive or an export it has at most twice as many, which readers take (8 MiB).
# The longest is the approval of a connection with `consent.connections.MAX_SCOPES`.
ENTRY_BYTES = 3 * 1024 * 1024
# What reading or checking an entry raises if the code that wrote it was wrong.
UNFIT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
OPTIONAL, OBJECT = frozenset({str, type(None)}), frozenset({dict})
KINDS, OUTCOMES = frozenset(get_args(Kind)), frozenset(map(str, Outcome))
MAX_LENGTH = 64
SEPARATORS = frozenset(" \0")
LOG_ID = re.compile(r"log_[0-9a-f]{32}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")
_optional = itemgetter("organizationId", "userId", "agentId", "consentId", "reason", "action", "requestId")


class DamagedRowError(Exception):
    """A row of the journal cannot be read: it is damaged, or another version or secret wrote it."""


class Journaled(NamedTuple):
    """An entry as a row has it: the canonical JSON of each part, which the log salts and hashes as it is.

    `record` has null in place of the roots of `personal` and `withheld`.
    """

    record: bytes
    personal: Sequence[tuple[str, bytes]]
    withheld: Sequence[tuple[str, bytes]]


def encode_entry(entry: Prepared) -> Journaled:
    """Return an entry with its parts encoded. Raises `ValueError` if the log, or its readers, could not take it."""
    content, personal, withheld = entry
    try:
        _check(content, withheld, personal.get(AMOUNT))
    except UNFIT as error:
        raise ValueError(f"Not an entry: {error!r}") from error
    fragment = orjson.Fragment(canonical_json(content["metadata"]))
    record = encode_common({**content, "metadata": fragment, "personal": None, "withheld": None})
    return Journaled(record, encode_parts(personal), encode_parts(withheld))


def encode_parts(parts: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return the parts encoded, in order."""
    return [(name, canonical_json(value)) for name, value in parts.items()]


def check_amount(amount: Any) -> None:
    """Raise one of `UNFIT` unless the amount of an entry can be added to the totals of its connection."""
    if amount is not None:
        add_amount({}, amount)


def seal_rows(entries: Sequence[Journaled]) -> list[bytes]:
    """Return the bodies of as many rows as it takes: usually one, because a row that is too long does not open again.

    Raises `ValueError` for an entry that is too long by itself.
    """
    rows: list[list[Journaled]] = []
    room = 0
    for entry in entries:
        size = _size(entry)
        if size > ENTRY_BYTES:
            raise ValueError(f"Too long for an entry: {size} bytes")
        if size > room:
            rows.append([])
            room = ROW_BYTES
        rows[-1].append(entry)
        room -= size
    return [seal(row) for row in rows]


def seal(entries: Sequence[Journaled]) -> bytes:
    """Return the body of a row with these entries: a line with the lengths of all parts, and then the parts."""
    lengths, found = [], []
    for record, personal, withheld in entries:
        lengths.append((len(record), [(name, len(part)) for name, part in personal], _lengths(withheld)))
        found.append(record)
        found += [part for _, part in personal]
        found += [part for _, part in withheld]
    return crypto.seal(PURPOSE, pack(b"%b\n%b" % (orjson.dumps([VERSION, *lengths]), b"".join(found))))


def decode(body: bytes | memoryview) -> list[Journaled]:
    """Return the entries of a row, unchecked. Raises `DamagedRowError`."""
    try:
        header, _, parts = unpack(crypto.open_sealed(PURPOSE, body)).partition(b"\n")
        version, *lengths = orjson.loads(header)
    except crypto.SealBroken as error:
        raise DamagedRowError("It was changed, or written with another JWT_SECRET.") from error
    except (ValueError, TypeError) as error:
        raise DamagedRowError(f"Not a row: {error}") from error
    if version != VERSION:
        raise DamagedRowError(f"Unknown version: {str(version)[:40]!r}.")
    try:
        return list(_cut(lengths, parts))
    except UNFIT as error:
        raise DamagedRowError(f"Not a row: {error!r}") from error


def read(entry: Journaled) -> Prepared:
    """Return an entry, parsed. Raises `ValueError` if the log, or its readers, cannot take it."""
    content, _, withheld = examine(entry)
    return Prepared(content, _parse_parts(entry.personal), withheld)


def examine(entry: Journaled) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Return what the sequencer needs of an entry: its content, its amount and what is withheld. Raises like `read`."""
    try:
        content = orjson.loads(entry.record)
        del content["personal"], content["withheld"]
        withheld = _parse_parts(entry.withheld) if entry.withheld else {}
        _check(content, withheld, None)
    except UNFIT as error:
        raise ValueError(f"Not an entry: {error!r}") from error
    return content, read_amount(entry), withheld


def read_amount(entry: Journaled) -> Any:
    """Return what counts in the totals of the connection, or None. Raises `ValueError` if that is not an amount."""
    for name, part in entry.personal:
        if name == AMOUNT:
            try:
                amount = orjson.loads(part)
                add_amount({}, amount)
            except UNFIT as error:
                raise ValueError(f"Not an amount: {error!r}") from error
            return amount
    return None


def _size(entry: Journaled) -> int:
    return len(entry.record) + sum([len(part) for _, part in (*entry.personal, *entry.withheld)])


def _parse_parts(parts: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    return {name: orjson.loads(part) for name, part in parts}


def _lengths(parts: Sequence[tuple[str, bytes]]) -> list[tuple[str, int]]:
    return [(name, len(part)) for name, part in parts]


def _cut(lengths: Sequence[Any], parts: bytes) -> Iterator[Journaled]:
    """Yield the entries of a row. Raises one of `UNFIT` if the lengths are not those of the parts."""
    place = 0
    for length, personal, withheld in lengths:
        found: list[tuple[str, bytes]] = []
        for name, size in (("", length), *personal, *withheld):
            if size < 0:
                raise ValueError("A part has a negative length.")
            start, place = place, place + size
            found.append((name, parts[start:place]))
        end = 1 + len(personal)
        yield Journaled(found[0][1], found[1:end], found[end:])
    if place != len(parts):
        raise ValueError("The parts are shorter or longer than the first line says.")


def _check(content: Any, withheld: Any, amount: Any) -> None:
    """Raise one of `UNFIT` unless the log and its readers can take an entry. Joining refuses what is not text."""
    actor, services, scopes = content["actor"], content["serviceOrganizationIds"], content["scopes"]
    if not OBJECT.issuperset(map(type, (content, withheld, actor, content["metadata"]))):
        raise ValueError("A member is not an object.")
    if type(services) is not list or type(scopes) is not list:
        raise ValueError("A member is not a list.")
    optional = (actor["id"], *_optional(content))
    if not OPTIONAL.issuperset(map(type, optional)):
        raise ValueError("A member has the wrong type.")
    if not LOG_ID.fullmatch(content["id"]) or not is_moment(content["timestamp"]):
        raise ValueError("The id or the timestamp is malformed.")
    chain = content.get("chain")
    known_version = FORMAT_VERSION if chain is None else CHAINED_VERSION
    if content["v"] != known_version or content["outcome"] not in OUTCOMES or actor["kind"] not in KINDS:
        raise ValueError("A member has an unknown value.")
    known = [content["event"], *services, *withheld.get(SERVICES, ()), *filter(None, optional[:5])]
    if chain is not None:
        known += ids_of_chain(chain, content["agentId"])
    # They become columns, the names of keys, and a list that is separated by spaces.
    together = "".join(known)
    if max(map(len, known)) > MAX_LENGTH or not together.isascii() or " " in together or "\0" in together:
        raise ValueError("An id or the event is malformed.")
    "".join(scopes)
    check_amount(amount)


def ids_of_chain(chain: Any, agent_id: str | None) -> list[str]:
    """Return the ids of a chain, which ends with the entry's agent. Raises one of `UNFIT`."""
    first, *others = chain
    links = [(link["agentId"], link["delegationId"], link["organizationId"]) for link in chain]
    if first["delegationId"] is not None or not others or links[-1][0] != agent_id:
        raise ValueError("The chain does not lead to the agent.")
    return [one for link in links for one in link if one is not None]


def is_fit(value: Any) -> bool:
    """Return whether this can be a column, the name of a key, and an item of a list that is separated by spaces."""
    return isinstance(value, str) and 0 < len(value) <= MAX_LENGTH and value.isascii() and not SEPARATORS & {*value}


@lru_cache(maxsize=256)  # the entries of a row often have the same
def is_moment(text: str) -> bool:
    """Return whether this is a moment in UTC. Raises `ValueError` if it is one that no calendar has."""
    return bool(MOMENT.fullmatch(text) and datetime.fromisoformat(text))
