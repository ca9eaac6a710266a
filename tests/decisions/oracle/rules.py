"""The oracle's rules: whether each allows a call, given all calls that it has allowed within its window."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import time
from decimal import Decimal
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

from tests.decisions.oracle.calls import Call

Config = Mapping[str, Any]
EMPTY = object()


def concerns(config: Config, call: Call) -> bool:
    return "actions" not in config or any(matches(config["actions"], action) for action in call.actions)


def matches(patterns: Collection[str], action: str) -> bool:
    return any(action.startswith(each[:-1]) if each[-1] == "*" else action == each for each in patterns)


def rate_limit(config: Config, call: Call, past: Sequence[Call]) -> bool:
    return len(counted_with(config, call, past)) < config["maxRequests"]


def spend_limit(config: Config, call: Call, past: Sequence[Call]) -> bool:
    amounts = [amount_of(each, config["currency"]) for each in (call, *counted_with(config, call, past))]
    return amounts[0] is not None and sum(filter(None, amounts)) <= Decimal(config["maxAmount"])


def counted_with(config: Config, call: Call, past: Sequence[Call]) -> list[Call]:
    """Return the calls that a limit of this scope counts together with the call."""
    if config["scope"] == "global":
        return list(past)
    name = {"per_user": "user", "per_agent": "agent"}[config["scope"]]
    return [each for each in past if getattr(each.connection, name) == getattr(call.connection, name)]


def amount_of(call: Call, currency: str | None = None) -> Decimal | None:
    """Return the amount, or None if it cannot be read or is in another currency than this."""
    stated = call.context.get("amount")
    value = number(stated.get("value")) if isinstance(stated, dict) and not odd(stated) else None
    if value is None or value < 0 or stated.get("currency") not in ({currency} if currency else {"EUR", "USD", "JPY"}):
        return None
    return value


def odd(amount: Any) -> bool:
    """Return whether an amount has members that could change it."""
    return isinstance(amount, dict) and bool({*amount} - {"value", "currency"})


def time_window(config: Config, call: Call, past: Sequence[Call]) -> bool:
    local = call.at.astimezone(ZoneInfo(config.get("timezone", "UTC")))
    days = {day % 7 for day in config["allowedDays"]}
    today, yesterday = local.isoweekday() % 7 in days, (local.isoweekday() - 1) % 7 in days
    start, end = time.fromisoformat(config["startTimeUtc"]), time.fromisoformat(config["endTimeUtc"])
    if start < end:
        return today and start <= local.time() < end
    return (today and local.time() >= start) or (yesterday and local.time() < end)


def action_allowlist(config: Config, call: Call, past: Sequence[Call]) -> bool:
    return all(matches(config["actions"], action) for action in call.actions)


def action_blocklist(config: Config, call: Call, past: Sequence[Call]) -> bool:
    return not any(matches(config["actions"], action) for action in call.actions)


def ip_allowlist(config: Config, call: Call, past: Sequence[Call]) -> bool:
    try:
        address = ip_address(call.context.get("ip") or (None if call.asker else call.address) or "none")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ip_network(cidr) for cidr in config["cidrs"])


def context_match(config: Config, call: Call, past: Sequence[Call]) -> bool:
    return all(holds(condition, call) for condition in config["conditions"])


def holds(condition: Config, call: Call) -> bool:
    given = {"resource": call.resource} if condition["field"] == "resource" else call.context
    if condition["field"].startswith("amount.") and odd(call.context.get("amount")):
        return condition["operator"] == "exists" and condition["value"]
    found = values_at(given, condition["field"].split("."))
    if condition["operator"] == "exists":
        return all((value is not None) is condition.get("value", True) for value in found)
    return all(value not in (None, EMPTY) and compare(condition, value) for value in found)


def values_at(given: Any, path: Sequence[str]) -> list[Any]:
    """Return the values at the path in each element of each list: None where there is none, EMPTY for an empty list."""
    if isinstance(given, list):
        found = [value for element in given for value in values_at(element, path)]
        return found if given else [None if path else EMPTY]
    if not path:
        return [given]
    return values_at(given.get(path[0]) if isinstance(given, dict) else None, path[1:])


def compare(condition: Config, value: Any) -> bool:
    operator, wanted = condition["operator"], condition.get("values", [condition.get("value")])
    if operator in ("at_most", "at_least"):
        left, right = (number(value), number(wanted[0]))[:: 1 if operator == "at_most" else -1]
        return left is not None and right is not None and left <= right
    is_number, is_text = type(wanted[0]) is int, type(wanted[0]) is str
    value = number(value) if is_number else value
    if value is None or (is_text and not is_clean(value)) or (type(wanted[0]) is bool and type(value) is not bool):
        return False
    if operator in TEXTUAL:
        return any(is_one_item(value, one) and re.fullmatch(TEXTUAL[operator](one), value) for one in wanted)
    if operator in ("not_equals", "not_in"):
        return folded(value) not in map(folded, wanted)
    return value in wanted


def number(value: Any) -> Decimal | None:
    is_text = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,8})?", value)
    return Decimal(value) if is_text or type(value) is int else None


def is_clean(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value == value.strip()


def is_one_item(text: str, pattern: str) -> bool:
    """Return whether the text is not a list in disguise, nor a path that leads upwards."""
    separators, segments = {*text} & {*" ,;"} - {*pattern}, {*re.split(r"[/\\]", text)} & {".."}
    return not separators and not segments and ("@" not in pattern or text.count("@") <= pattern.count("@"))


def folded(value: Any) -> Any:
    return normalize("NFKC", value).casefold() if isinstance(value, str) else value


def glob(pattern: str) -> str:
    return "(?s:" + "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern) + ")"


TEXTUAL: Mapping[str, Callable[[str], str]] = {
    "starts_with": lambda wanted: f"(?s:{re.escape(wanted)}.*)",
    "ends_with": lambda wanted: f"(?s:.*{re.escape(wanted)})",
    "glob": glob,
    "matches_any": glob,
}
CHECKS: Mapping[str, Callable[[Config, Call, Sequence[Call]], bool]] = {
    check.__name__: check
    for check in (rate_limit, spend_limit, time_window, action_allowlist, action_blocklist, ip_allowlist, context_match)
}
