"""The filtered history of a user as a download."""

from functools import partial
from zoneinfo import ZoneInfo

from audit.entries.drafts import SHORTENED
from audit.selectors import entries_for_user
from web.requests.downloads import Download, Row, describe_time
from web.user.activity.items import Item
from web.user.activity.search import Wanted, read_all

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
    "context",
    "shortenedContext",
    "services",
    "policy",
    "consentId",
)


def download_of(user_id: str, wanted: Wanted, zone: ZoneInfo) -> Download[Item]:
    criteria = entries_for_user(user_id, wanted.filters).criteria
    return Download("activity", criteria, COLUMNS, read_all(user_id, wanted), partial(_describe, zone=zone))


def _describe(item: Item, zone: ZoneInfo) -> Row:
    """Return the entry's value for each of `COLUMNS`."""
    content, touched = item.content, item.touched
    amount = touched.amount or {}
    return {
        "id": item.id,
        **describe_time(item.at, zone),
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
        "context": content["personal"].get("context"),
        "shortenedContext": content["personal"].get(SHORTENED),
        "services": list(item.services),
        "policy": content["policyName"],
        "consentId": content["consentId"],
    }
