"""Exports of the filtered history as a table and as data, with exactly the entries that the pages show."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _

from audit.readers.snapshot import take_snapshot
from audit.selectors import entries_for_user
from core.clock import rfc3339
from core.errors import Invalid
from web.ledger.items import Item
from web.ledger.search import Wanted, read_all
from web.tables import cells, csv_lines

# An export occupies a thread of the server until it is done.
MAX_ENTRIES = 100_000
COLUMNS = (
    "id",
    "time",
    "localTime",
    "timeZone",
    "agent",
    "agentId",
    "event",
    "outcome",
    "summary",
    "reason",
    "scopes",
    "action",
    "verb",
    "recipient",
    "target",
    "resource",
    "amount",
    "currency",
    "services",
    "policy",
    "consentId",
)


def require_bounded(user_id: str, wanted: Wanted) -> None:
    """Raise `Invalid` if more than `MAX_ENTRIES` entries match the filters of the log."""
    if take_snapshot().count(entries_for_user(user_id, wanted.filters).criteria) > MAX_ENTRIES:
        message = _("A download has at most %(number)d entries. Choose a shorter period, or an agent.")
        raise Invalid(message % {"number": MAX_ENTRIES})


def csv_pieces(user_id: str, wanted: Wanted, zone: ZoneInfo) -> Iterator[bytes]:
    yield csv_lines([COLUMNS])
    for rows in _rows(user_id, wanted, zone):
        yield csv_lines(cells(row, COLUMNS) for row in rows)


def json_pieces(user_id: str, wanted: Wanted, zone: ZoneInfo) -> Iterator[bytes]:
    """Yield an object whose member `items` has the entries."""
    yield b'{"items":['
    separator = ""
    for rows in _rows(user_id, wanted, zone):
        for row in rows:
            yield f"{separator}\n{json.dumps(row, ensure_ascii=False)}".encode()
            separator = ","
    yield b"\n]}\n"


FORMATS: Mapping[str, tuple[str, Callable[[str, Wanted, ZoneInfo], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_pieces),
    "json": ("application/json", json_pieces),
}


def describe_row(item: Item, zone: ZoneInfo) -> dict[str, Any]:
    """Return the entry with a value for each of `COLUMNS`. Unknown ones are null."""
    content, touched = item.content, item.touched
    amount = touched.amount or {}
    values = {
        "id": item.id,
        "time": rfc3339(item.at),
        "localTime": _local(item.at, zone),
        "timeZone": zone.key,
        "agent": content["agentName"],
        "agentId": item.agent_id,
        "event": item.event,
        "outcome": item.outcome,
        "summary": item.sentence,
        "reason": content["reason"],
        "scopes": list(content["scopes"]),
        "action": content["action"],
        "verb": touched.verb,
        "recipient": touched.recipient,
        "target": touched.target,
        "resource": touched.resource,
        "amount": amount.get("value"),
        "currency": amount.get("currency"),
        "services": list(item.services),
        "policy": content["policyName"],
        "consentId": content["consentId"],
    }
    return {name: None if value == "" else value for name, value in values.items()}


def _rows(user_id: str, wanted: Wanted, zone: ZoneInfo) -> Iterator[list[dict[str, Any]]]:
    language = translation.get_language()
    for items in read_all(user_id, wanted):
        with translation.override(language):
            rows = [describe_row(item, zone) for item in items]
        yield rows


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
