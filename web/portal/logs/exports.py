"""The filtered log of an organization as a download."""

from collections.abc import Iterator
from functools import partial
from zoneinfo import ZoneInfo

from audit.readers.search import Listing
from web.portal.logs.names import OwnNames
from web.portal.logs.rows import LogRow, read_rows
from web.requests.downloads import Download, Row, describe_time

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


def download_of(
    listing: Listing, own: OwnNames, zone: ZoneInfo, *, request_id: str = "", name: str = "log"
) -> Download[LogRow]:
    """Return the download. `request_id` is one that the log has no index for, or empty."""
    batches = _read_all(listing, own, request_id)
    return Download(name, listing.criteria, COLUMNS, batches, partial(_describe, zone=zone))


def _read_all(listing: Listing, own: OwnNames, request_id: str) -> Iterator[list[LogRow]]:
    for entries in listing.pages(READ):
        yield [row for row in read_rows(entries, own) if request_id in ("", row.content["requestId"])]


def _describe(row: LogRow, zone: ZoneInfo) -> Row:
    """Return the entry's value for each of `COLUMNS`."""
    content, personal = row.content, row.content["personal"]
    return {
        "id": row.id,
        **describe_time(row.at, zone),
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
