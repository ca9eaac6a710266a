"""Events as JSON: an entry of the log, as its organization may read it, with its place in the organization's stream."""

from collections.abc import Sequence
from typing import Any

import orjson

from audit.readers.reading import AuditEntry
from audit.selectors import describe_for_organization

# The members of an entry in the API (`AuditEntryOut`), besides those that can be erased.
MEMBERS: tuple[str, ...] = (
    "id",
    "timestamp",
    "event",
    "outcome",
    "reason",
    "policyId",
    "agentId",
    "userId",
    "consentId",
    "action",
)
MEMBERS += ("scopes", "requestId", "metadata")
ERASABLE = ("resource", "ip", "userAgent")
# Where a request came from is not sent to endpoints.
ORIGIN = frozenset({"ip", "userAgent"})

type Event = dict[str, Any]


def events_of(entries: Sequence[tuple[AuditEntry, int]], organization_id: str) -> list[Event]:
    """Return the events of entries, each given with its number in the organization's stream."""
    described = describe_for_organization([entry for entry, _ in entries], organization_id)
    return [_event(one, number, organization_id) for one, (_, number) in zip(described, entries, strict=True)]


def delivered(event: Event) -> bytes:
    """Return the body of a delivery."""
    data = {name: value for name, value in event["data"].items() if name not in ORIGIN}
    return orjson.dumps({**event, "data": data})


def _event(entry: dict[str, Any], number: int, organization_id: str) -> Event:
    personal = entry["personal"]
    data = {name: entry[name] for name in MEMBERS} | {name: personal.get(name) for name in ERASABLE}
    if "chain" in entry:
        data["chain"] = entry["chain"]
    return {
        "id": entry["id"],
        "type": entry["event"],
        "timestamp": entry["timestamp"],
        "stream": {"id": organization_id, "number": number},
        "data": data,
    }
