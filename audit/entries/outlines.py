"""Outlines: what a record says besides its id, its request id and its time. Most entries of a token share one.

The sequencer parses, checks and indexes an outline once. Of each further record with the same one, it reads only those
three values, which it finds without parsing.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from audit.entries.facets import mark_of
from audit.entries.journal import Journaled, examine, read_amount
from audit.entries.subjects import subject_of
from audit.sequencing.postings import Listed, terms_of
from audit.sequencing.streams import Effect, effect_of

ORGANIZATION = "organization:"
PERSON = "person"
CONNECTION = "connection"
# Each takes about three kilobytes, and up to three times as much. Longer ones, which callers can make up by asking for
# many scopes, are not remembered.
MAX_KNOWN, MAX_LENGTH = 10_000, 2000
# What is before the values. The month stays in the outline, because the key of personal data can be that of a month.
ID, REQUEST, TIME = b',"id":"log_', b',"requestId":"req_', b',"timestamp":"'
DIGITS, MONTH, MOMENT = 32, len("2026-11"), len("2026-11-30T12:00:00.000000Z")
VALUES = re.compile(rb"(?:[0-9a-f]{32}){1,2}[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class Outline(NamedTuple):
    """What the sequencer needs of it. `texts` are the columns of the entry from `event` to `organizations`.

    `streams` are its organizations and its person. `names` are those of its parts in the group `streams`.
    """

    texts: tuple[str | None, ...]
    streams: Sequence[str]
    consent_id: str | None
    names: Sequence[bytes]
    scopes: Sequence[str]
    effect: Effect
    subject: str
    terms: Sequence[int]


class Outlined(NamedTuple):
    """An entry as its outline and the rest. `mark` is that of its request id (`audit.entries.facets`)."""

    outline: Outline
    id: str
    timestamp: datetime
    mark: int
    amount: Any
    withheld: Mapping[str, Any]


class Outlines:
    """The outlines that are known."""

    def __init__(self) -> None:
        self._known: dict[bytes, Outline] = {}

    def read(self, entry: Journaled) -> Outlined:
        """Return the entry with its outline. Raises `ValueError` if the log, or its readers, cannot take it."""
        cut = None if entry.withheld else _take_values(entry.record)
        if cut is None:
            return _outlined(*examine(entry))
        common, values = cut
        outline = self._known.get(common)
        if outline is None:
            return self._learn(entry, common, values)
        timestamp, mark = datetime.fromisoformat(values[-MOMENT:]), mark_of(values[DIGITS:-MOMENT])
        return Outlined(outline, "log_" + values[:DIGITS], timestamp, mark, read_amount(entry), {})

    def _learn(self, entry: Journaled, common: bytes, values: str) -> Outlined:
        content, amount, withheld = examine(entry)
        outlined = _outlined(content, amount, withheld)
        # Otherwise members of the metadata have these names.
        found = content["id"][len("log_") :] + (content["requestId"] or "")[len("req_") :] + content["timestamp"]
        if found == values and len(common) <= MAX_LENGTH:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[common] = outlined.outline
        return outlined


def _outlined(content: dict[str, Any], amount: Any, withheld: Mapping[str, Any]) -> Outlined:
    listed = Listed.from_content(content, withheld)
    mark = mark_of(listed.facets.request_id)
    return Outlined(_outline(content, listed), content["id"], listed.timestamp, mark, amount, withheld)


def outline_of(content: Mapping[str, Any], withheld: Mapping[str, Any]) -> Outline:
    """Return the outline of an entry, given its record, parsed, and what is withheld."""
    return _outline(content, Listed.from_content(content, withheld))


def _outline(content: Mapping[str, Any], listed: Listed) -> Outline:
    _, organization_ids, user_id, agent_id, consent_id, event, outcome, _ = listed
    return Outline(
        (event, outcome, user_id, agent_id, consent_id, "".join([f"{one} " for one in organization_ids])),
        [*organization_ids, user_id] if user_id else organization_ids,
        consent_id,
        [name.encode() for name in stream_names(organization_ids, user_id, consent_id)],
        content["scopes"],
        effect_of(event, outcome),
        subject_of(content, organization_ids),
        terms_of(listed),
    )


def stream_names(organization_ids: Sequence[str], user_id: str | None, consent_id: str | None) -> list[str]:
    """Return the names of an entry's parts in the group `streams`, in order."""
    names = [ORGANIZATION + one for one in organization_ids]
    names += [PERSON] if user_id else []
    return [*names, CONNECTION] if consent_id else names


def _take_values(record: bytes) -> tuple[bytes, str] | None:
    """Return the outline of a record, and the three values after each other. None if they are not all there.

    Quotation marks in texts are escaped, so what is found are members. The id may be that of an object before it, and
    the others of one in the metadata. A request id of the caller is not in the record.
    """
    first, second, third = record.find(ID), record.rfind(REQUEST), record.rfind(TIME)
    if not 0 <= first < third or second > third:
        return None
    start, moment = first + len(ID), third + len(TIME)
    head, entry_id, rest = record[:start], record[start : start + DIGITS], start + DIGITS
    month, timestamp, tail = moment + MONTH, record[moment : moment + MOMENT], record[moment + MOMENT :]
    if second < first:
        values, common = entry_id + timestamp, head + record[rest:month] + tail
    else:
        asked = second + len(REQUEST)
        values = entry_id + record[asked : asked + DIGITS] + timestamp
        common = head + record[rest:asked] + record[asked + DIGITS : month] + tail
    return (common, values.decode()) if VALUES.fullmatch(values) else None
