"""The decisions of verify in an organization's log, oldest first, with what rules have seen of each request.

Danger: this is for evaluating rules. It has what the organization's developers may not read.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import batched
from typing import Any, NamedTuple

import orjson

from audit.entries import personal_keys
from audit.entries.drafts import CALL, POLICY, SHORTENED
from audit.entries.packing import unpack
from audit.entries.records import decode_opening, open_personal
from audit.entries.subjects import subject_of
from audit.events import Event, Outcome
from audit.models import Entry
from audit.proof.members import ORGANIZATION, Stream, read_values
from audit.readers.finding import sizes
from audit.readers.in_order import first_index
from audit.readers.reading import Keys
from core.chains import Link

ENTRIES_PER_READ = 500
EVENTS = frozenset({Event.TOKEN_VERIFY, Event.RESERVATION_COMMITTED, Event.RESERVATION_VOIDED})


class Decided(NamedTuple):
    """A decision. `context` is None if the log has only its beginning; `is_erased` means that personal data is gone.

    `policy_id` is the policy that denied or asked, and `rule` its type and index, if any did.
    """

    at: datetime
    is_allowed: bool
    reason: str | None
    organization_id: str | None
    agent_id: str | None
    user_id: str | None
    policy_id: str | None
    rule: tuple[str, int]
    metadata: Mapping[str, Any]
    action: str | None
    scopes: Sequence[str]
    resource: str | None
    ip: str | None
    context: Mapping[str, Any] | None
    is_erased: bool
    leaf_index: int
    """The place of its entry in the log."""
    chain: tuple[Link, ...] = ()
    """The agents that handed the work on and the one that acted, or nothing if it was not handed on."""
    service_organization_ids: Sequence[str] = ()


class Resolved(NamedTuple):
    """The end of a reservation that a decision made. `final` is the amount that counts, None if none does."""

    at: datetime
    reservation_id: str
    final: str | None


class _Row(NamedTuple):
    """The columns that are read of an entry."""

    leaf_index: int
    record: bytes
    opening: bytes
    sealed: bytes | None
    organizations: str


def decisions_since(organization_id: str, since: datetime) -> Iterator[Decided | Resolved]:
    """Yield the decisions that concern the organization, in the order of the log, so far as the sequencer has come.

    Among them are the ends of reservations, except those that lapsed or whose final amount was erased.

    Reads some hundred entries at a time, and holds no transaction meanwhile.
    """
    stream = Stream(ORGANIZATION, organization_id)
    size, indexed = sizes()
    for indexes in batched(stream.indexes(first_index(since, indexed), size - 1), ENTRIES_PER_READ):
        rows = [(row, orjson.loads(unpack(row.record))) for row in _rows(indexes)]
        wanted = [(row, record) for row, record in rows if _is_wanted(row, record, organization_id, since)]
        keys = personal_keys.existing_keys(_subject(row, record) for row, record in wanted if row.sealed is not None)
        for row, record in wanted:
            read = _read if record["event"] == Event.TOKEN_VERIFY else _read_end
            if (found := read(row, record, keys)) is not None:
                yield found


def _is_wanted(row: _Row, record: Mapping[str, Any], organization_id: str, since: datetime) -> bool:
    # Two organizations can share a term of the postings.
    is_own = organization_id in row.organizations.split()
    return is_own and record["event"] in EVENTS and datetime.fromisoformat(record["timestamp"]) >= since


def _rows(indexes: Sequence[int]) -> list[_Row]:
    """Return the rows with these indexes, in their order. Raises `MissingEntry` and `ArchiveUnavailable`."""
    stored = Entry.objects.filter(leaf_index__in=indexes)
    return [_Row(*row) for row in read_values(indexes, stored, _Row._fields)]


def _read(row: _Row, record: Mapping[str, Any], keys: Keys) -> Decided:
    personal = _personal(row, record, keys)
    parts: Mapping[str, Any] = personal or {}
    is_allowed = record["outcome"] == Outcome.ALLOWED
    policy = {} if is_allowed else decode_opening(row.opening)[0].withheld.get(POLICY, {})
    call = parts.get(CALL, {})
    return Decided(
        at=datetime.fromisoformat(record["timestamp"]),
        is_allowed=is_allowed,
        reason=record["reason"],
        organization_id=record["organizationId"],
        agent_id=record["agentId"],
        user_id=record["userId"],
        policy_id=policy.get("policyId"),
        rule=(record["metadata"].get("ruleType", ""), policy.get("ruleIndex", 0)),
        metadata=record["metadata"],
        action=record["action"],
        scopes=record["scopes"],
        resource=parts.get("resource"),
        ip=parts.get("ip"),
        context=None if SHORTENED in call else call.get("context", {}),
        is_erased=personal is None,
        leaf_index=row.leaf_index,
        chain=tuple(_read_link(each) for each in record.get("chain", ())),
        service_organization_ids=record["serviceOrganizationIds"],
    )


def _read_link(link: Mapping[str, Any]) -> Link:
    return Link(link["agentId"], link["delegationId"], link["organizationId"])


def _read_end(row: _Row, record: Mapping[str, Any], keys: Keys) -> Resolved | None:
    personal = _personal(row, record, keys)
    final = personal.get("amount", {}).get("value") if personal else None
    if final is None and record["event"] == Event.RESERVATION_COMMITTED:
        return None
    return Resolved(datetime.fromisoformat(record["timestamp"]), record["metadata"]["reservationId"], final)


def _personal(row: _Row, record: Mapping[str, Any], keys: Keys) -> Mapping[str, Any] | None:
    """Return the personal parts, or None if they were erased."""
    if not record["personal"]:
        return {}
    if row.sealed is None:
        return None
    try:
        return open_personal(personal_keys.decrypt(keys.get(_subject(row, record)), record["id"], row.sealed))[1]
    except personal_keys.Erased:
        return None


def _subject(row: _Row, record: Mapping[str, Any]) -> str:
    return subject_of(record, row.organizations.split())
