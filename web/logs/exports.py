"""The filtered log of an organization as a table and as data, with exactly the entries that the pages show."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _

from audit.readers.search import Listing
from audit.readers.snapshot import take_snapshot
from core.clock import rfc3339
from core.errors import Invalid
from web.logs.names import OwnNames
from web.logs.rows import LogRow, read_rows
from web.tables import cells, csv_lines

# An export occupies a thread of the server until it is done.
MAX_ENTRIES = 100_000
READ = 200
COLUMNS = (
    "id",
    "time",
    "localTime",
    "timeZone",
    "event",
    "outcome",
    "reason",
    "rule",
    "policy",
    "policyId",
    "action",
    "scopes",
    "resource",
    "agent",
    "agentId",
    "userId",
    "consentId",
    "actor",
    "actorId",
    "actorName",
    "ip",
    "requestId",
    "index",
)

type Pieces = Callable[[Listing, OwnNames, ZoneInfo, str], Iterator[bytes]]


def require_bounded(listing: Listing) -> None:
    """Raise `Invalid` if more than `MAX_ENTRIES` entries match."""
    if take_snapshot().count(listing.criteria) > MAX_ENTRIES:
        message = _("A download has at most %(number)d entries. Choose a shorter period, or an agent.")
        raise Invalid(message % {"number": MAX_ENTRIES})


def csv_pieces(listing: Listing, own: OwnNames, zone: ZoneInfo, request_id: str) -> Iterator[bytes]:
    yield csv_lines([COLUMNS])
    for rows in _rows(listing, own, zone, request_id):
        yield csv_lines(cells(row, COLUMNS) for row in rows)


def json_pieces(listing: Listing, own: OwnNames, zone: ZoneInfo, request_id: str) -> Iterator[bytes]:
    """Yield an object whose member `items` has the entries."""
    yield b'{"items":['
    separator = ""
    for rows in _rows(listing, own, zone, request_id):
        for row in rows:
            yield f"{separator}\n{json.dumps(row, ensure_ascii=False)}".encode()
            separator = ","
    yield b"\n]}\n"


FORMATS: Mapping[str, tuple[str, Pieces]] = {
    "csv": ("text/csv; charset=utf-8", csv_pieces),
    "json": ("application/json", json_pieces),
}


def describe_row(row: LogRow, zone: ZoneInfo) -> dict[str, Any]:
    """Return the entry with a value for each of `COLUMNS`. Unknown ones are null."""
    content, personal = row.content, row.content["personal"]
    values = {
        "id": row.id,
        "time": rfc3339(row.at),
        "localTime": row.at.astimezone(zone).isoformat(sep=" ", timespec="seconds"),
        "timeZone": zone.key,
        "event": row.event,
        "outcome": row.outcome,
        "reason": content["reason"],
        "rule": content["metadata"].get("ruleType"),
        "policy": row.policy_name,
        "policyId": row.policy_id,
        "action": content["action"],
        "scopes": list(content["scopes"]),
        "resource": personal.get("resource"),
        "agent": row.agent_name if row.agent_id in row.names.names else None,
        "agentId": row.agent_id,
        "userId": row.user_id,
        "consentId": content["consentId"],
        "actor": content["actor"]["kind"],
        "actorId": content["actor"]["id"],
        "actorName": row.actor_name,
        "ip": personal.get("ip"),
        "requestId": content["requestId"],
        "index": row.entry.index,
    }
    return {name: None if value == "" else value for name, value in values.items()}


def _rows(listing: Listing, own: OwnNames, zone: ZoneInfo, request_id: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows, many at a time. `request_id` is one that the log has no index of, or empty."""
    language, cursor = translation.get_language(), ""
    while True:
        entries, cursor = listing.page(cursor, READ)
        with translation.override(language):
            rows = [describe_row(row, zone) for row in read_rows(entries, own)]
        yield [row for row in rows if request_id in ("", row["requestId"])]
        if not cursor:
            return
