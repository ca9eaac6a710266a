"""Postings: which entries of a segment of the log have a term. Filters of any combination are intersections of them.

A term is 64 bits of a digest of its kind and value, such as an organization, a user or an outcome. Two values that
share a term would only make a reader look at entries that do not match, so readers check what they find.
A segment is `SEGMENT` entries. Its postings are written at once when it is complete, because writing them entry by
entry would change a page of the database for each term. The entries after the last segment are found by their columns.

Almost every entry has a request id of its own, and a posting for each would take more room than the entries. So a
segment has one row with the marks of all of them (`audit.entries.facets`), 32 bits each, under the term `MARKS`.
"""

import hashlib
import struct
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from audit.entries.drafts import organizations_of
from audit.entries.facets import NO_AGENT, Facets, facets_of, mark_of

SEGMENT = 4096
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
BITMAP_BYTES = SEGMENT // 8
# More offsets than these, two bytes each, take more room than a bitmap.
MAX_LISTED = BITMAP_BYTES // 2 - 1
ONE = ord("1")

ORGANIZATION, USER, AGENT, CONSENT, EVENT, OUTCOME = "organization", "user", "agent", "consent", "event", "outcome"
ACTOR, ACTION, RULE, POLICY, STEP, CHAIN = "actor", "action", "rule", "policy", "step", "chain"
MARK_BYTES = 4


@lru_cache(maxsize=20_000)
def term(kind: str, value: str) -> int:
    """Return the term of a value, as a signed 64-bit number."""
    return int.from_bytes(hashlib.sha256(f"{kind}:{value}".encode()).digest()[:8], "big", signed=True)


MARKS = term("marks", "request")


class Indexed(Protocol):
    """What of an entry has postings."""

    @property
    def timestamp(self) -> datetime: ...

    @property
    def organization_ids(self) -> Sequence[str]: ...

    @property
    def user_id(self) -> str | None: ...

    @property
    def agent_id(self) -> str | None: ...

    @property
    def consent_id(self) -> str | None: ...

    @property
    def event(self) -> str: ...

    @property
    def outcome(self) -> str: ...

    @property
    def facets(self) -> Facets: ...


class Listed(NamedTuple):
    """The same of an entry in the journal."""

    timestamp: datetime
    organization_ids: Sequence[str]
    user_id: str | None
    agent_id: str | None
    consent_id: str | None
    event: str
    outcome: str
    facets: Facets

    @classmethod
    def from_content(cls, content: Mapping[str, Any], withheld: Mapping[str, Any]) -> "Listed":
        return cls(
            datetime.fromisoformat(content["timestamp"]),
            organizations_of(content, withheld),
            content["userId"],
            content["agentId"],
            content["consentId"],
            content["event"],
            content["outcome"],
            facets_of(content, withheld),
        )


def terms_of(entry: Indexed) -> tuple[int, ...]:
    """Return the terms of an entry. Two of its values can have the same."""
    return tuple({term(kind, value): None for kind, value in values_of(entry) if value})


def values_of(entry: Indexed) -> list[tuple[str, str | None]]:
    """Return the kind and the value of each term of an entry."""
    facets = entry.facets
    return [
        *[(ORGANIZATION, one) for one in entry.organization_ids],
        (USER, entry.user_id),
        (AGENT, entry.agent_id or NO_AGENT),
        (CONSENT, entry.consent_id),
        (EVENT, entry.event),
        (OUTCOME, entry.outcome),
        *[(ACTOR, one) for one in facets.actors],
        *[(ACTION, one) for one in facets.actions],
        *[(RULE, one) for one in facets.rules],
        *[(POLICY, one) for one in facets.deciders],
        *[(STEP, one) for one in facets.steps],
        # The agent that acts has a term already. Most entries have no other.
        *[(CHAIN, one) for one in facets.chain if one != entry.agent_id],
    ]


class OpenSegment:
    """The segment that is not complete: the terms of its entries so far."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._terms: list[Sequence[int]] = []
        self._microseconds = array("q")
        self._marks: list[int] = []
        self._encoded: list[tuple[int, bytes]] | None = None

    def __len__(self) -> int:
        return len(self._microseconds)

    def add(self, terms: Sequence[int], timestamp: datetime, mark: int) -> bool:
        """Return whether the segment is complete now. Then its postings are made, before a transaction writes them."""
        self._terms.append(terms)
        self._microseconds.append(microseconds(timestamp))
        self._marks.append(mark)
        if len(self._terms) != SEGMENT:
            return False
        self._encoded = self._encode()
        return True

    def add_entry(self, entry: Indexed) -> bool:
        """Do the same with an entry of the log."""
        return self.add(terms_of(entry), entry.timestamp, mark_of(entry.facets.request_id))

    def postings(self) -> list[tuple[int, bytes]]:
        """Return each term with its entries, in the order of the terms."""
        return self._encode() if self._encoded is None else self._encoded

    def _encode(self) -> list[tuple[int, bytes]]:
        offsets: defaultdict[int, list[int]] = defaultdict(list)
        for offset, terms in enumerate(self._terms):
            for one in terms:
                offsets[one].append(offset)
        encoded = {one: encode(found) for one, found in offsets.items()}
        if any(self._marks):
            encoded[MARKS] = encode_marks(self._marks)
        return sorted(encoded.items())

    @property
    def timestamps(self) -> array[int]:
        """Return the timestamps of its entries in microseconds."""
        return self._microseconds


def encode(offsets: Sequence[int]) -> bytes:
    """Return ascending offsets as bytes: two for each, or a bitmap if that is shorter."""
    if len(offsets) <= MAX_LISTED:
        return struct.pack(f">{len(offsets)}H", *offsets)
    digits = bytearray(b"0") * SEGMENT
    for offset in offsets:
        digits[~offset] = ONE
    return int(digits, 2).to_bytes(BITMAP_BYTES, "little")


def encode_marks(marks: Sequence[int]) -> bytes:
    """Return the marks of all entries of a segment as bytes."""
    return struct.pack(f">{len(marks)}I", *marks)


def mask_of_mark(marks: bytes | memoryview, mark: int) -> int:
    """Return which entries have the mark, as the bits of a number, given the encoded marks of all."""
    marks, wanted, mask, place = bytes(marks), mark.to_bytes(MARK_BYTES, "big"), 0, -1
    while (place := marks.find(wanted, place + 1)) >= 0:
        if place % MARK_BYTES == 0:
            mask |= 1 << (place // MARK_BYTES)
    return mask


def to_mask(entries: bytes | memoryview) -> int:
    """Return encoded offsets as the bits of a number."""
    entries = bytes(entries)
    if len(entries) == BITMAP_BYTES:
        return int.from_bytes(entries, "little")
    mask = bytearray(BITMAP_BYTES)
    for high, low in zip(entries[::2], entries[1::2], strict=True):
        mask[(high << 5) | (low >> 3)] |= 1 << (low & 7)
    return int.from_bytes(mask, "little")


def offsets_of(mask: int, *, newest_first: bool) -> list[int]:
    """Return the offsets whose bits are set."""
    found = [place for place, bit in enumerate(reversed(f"{mask:b}")) if bit == "1"] if mask else []
    return found[::-1] if newest_first else found


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970, exactly."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Return the moment from its microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)
