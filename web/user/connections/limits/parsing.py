"""Parse the fields of the editor: turn each row into one rule, which is then merged with the limits in force."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from consent.tightening import is_as_tight
from core.errors import Invalid
from core.money import CURRENCIES, units_of
from policies.rules import InvalidRules, find_rule
from policies.rules.fields import MAX_CHARACTERS, MAX_ENTRIES
from policies.rules.globs import WILDCARDS
from policies.rules.parsing import parse_rule
from policies.rules.rate_limit import MAX_REQUESTS
from policies.rules.values import read_text
from web.forms.fields import read_whole
from web.user.connections.limits.descriptions import recipient_limit, rule_in_words

type Limit = dict[str, Any]

SEPARATORS = re.compile(r"[,;\n]")
# Each allowed domain takes two patterns.
MAX_RECIPIENTS = MAX_ENTRIES // 2
COUNTED = "per_user"
LIMIT = "limit-"
# Both separators start the decimals. At most two are accepted: 1.000 is a thousand in one country and one in another.
AMOUNT = re.compile(r"[0-9]{1,15}([.,][0-9]{1,2})?")


def field_name(kind: str, scope_id: str) -> str:
    return f"{LIMIT}{kind}-{scope_id}"


def is_spelled(amount: str) -> bool:
    """Return whether a field can show the amount of a rule. Rules may have more than two decimals."""
    return Decimal(amount) == round(Decimal(amount), 2)


def spell_amount(amount: str) -> str:
    """Return the amount of a rule as the field shows it, with two decimals or none."""
    value = Decimal(amount)
    return f"{value:.0f}" if value == value.to_integral_value() else f"{value:.2f}"


def merge(limits: list[Limit], shown: Limit | None, said: Limit | None, *, name: str, may_widen: bool) -> list[Limit]:
    """Return the limits, with the one that a row showed replaced by what it says now. Raises `Invalid`.

    Unless the user may widen them, an empty row changes nothing, and a different limit, such as one with another
    period, is added.
    """
    said = _counted_as(said, shown)
    if said is not None and any(_is_same(said, limit) for limit in limits):
        return limits
    if may_widen:
        return [*(limit for limit in limits if limit != shown), *([said] if said else [])]
    if said is None:
        return limits
    if wider := [limit for limit in limits if _is_looser(said, limit)]:
        raise Invalid.field(name, _too_wide(wider[0]))
    return [*(limit for limit in limits if not is_as_tight(said, limit)), said]


def _counted_as(said: Limit | None, shown: Limit | None) -> Limit | None:
    """Return the limit with the `scope` of the shown one: within a connection, all scopes count the same."""
    if said is None or shown is None or "scope" not in said["config"]:
        return said
    return {**said, "config": {**said["config"], "scope": shown["config"]["scope"]}}


def _is_same(limit: Limit, other: Limit) -> bool:
    return is_as_tight(limit, other) and is_as_tight(other, limit)


def _is_looser(said: Limit, limit: Limit) -> bool:
    """Return whether a limit in force denies something that the new one allows, so the new one would have no effect."""
    if is_as_tight(said, limit) or said["type"] != limit["type"]:
        return False
    return said["type"] == "context_match" or is_as_tight(limit, said) or _has_other_currency(said, limit)


def _has_other_currency(said: Limit, limit: Limit) -> bool:
    return said["type"] == "spend_limit" and said["config"]["currency"] != limit["config"]["currency"]


def _too_wide(limit: Limit) -> str:
    words = {"limit": rule_in_words(find_rule(limit))}
    return _("Now: %(limit)s. You can only make this tighter here. To allow more, let the agent ask you again.") % words


def _read_number(posted: QueryDict, scope_id: str) -> Limit | None:
    text = _sent(posted, "number", scope_id)
    if not text:
        return None
    number = read_whole(text) or 0
    if not 1 <= number <= MAX_REQUESTS:
        raise _wrong("number", scope_id, _("Enter a whole number from 1 to 1000000, or leave it empty."))
    config = {"maxRequests": number, "windowSeconds": _seconds(posted, "window", scope_id), "scope": COUNTED}
    return _checked({"type": "rate_limit", "config": config}, "number", scope_id)


def _read_amount(posted: QueryDict, scope_id: str) -> Limit | None:
    text = _sent(posted, "amount", scope_id)
    if not text:
        return None
    currency = _sent(posted, "currency", scope_id).upper()
    if currency not in CURRENCIES:
        raise _wrong("amount", scope_id, _("Choose a currency from the list."))
    value = text.replace(",", ".")
    if not AMOUNT.fullmatch(text) or not units_of(value):
        raise _wrong("amount", scope_id, _("Enter an amount above 0. Write 1000 or 12.50."))
    seconds = _seconds(posted, "period", scope_id)
    config = {"maxAmount": value, "currency": currency, "windowSeconds": seconds, "scope": COUNTED}
    return _checked({"type": "spend_limit", "config": config}, "amount", scope_id)


def _read_only(posted: QueryDict, scope_id: str) -> Limit | None:
    entries = [one.strip() for one in SEPARATORS.split(_sent(posted, "only", scope_id)) if one.strip()]
    if not entries:
        return None
    if len(entries) > MAX_RECIPIENTS:
        raise _wrong("only", scope_id, _("Enter at most %(number)s recipients.") % {"number": MAX_RECIPIENTS})
    for entry in entries:
        if problem := _problem_with(entry):
            raise _wrong("only", scope_id, problem)
    return _checked(recipient_limit(entries), "only", scope_id)


def _problem_with(entry: str) -> str:
    if WILDCARDS.intersection(entry):
        return _("Leave out * and ?. A domain such as acme.com stands for all its addresses.")
    if len(entry) + 2 > MAX_CHARACTERS or read_text(entry) is None:
        return _("Each recipient must be a short text without invisible characters.")
    if entry.endswith(("@", ".")) or entry.startswith("."):
        return _("Enter whole addresses or domains, such as bob@example.com or acme.com.")
    return ""


def _read_from(posted: QueryDict, scope_id: str) -> Limit | None:
    start, end = _sent(posted, "from", scope_id), _sent(posted, "until", scope_id)
    if not (start or end):
        return None
    if not (start and end) or start == end:
        raise _wrong("from", scope_id, _("Enter two different times, such as 09:00 and 17:00, or leave both empty."))
    days = _sent(posted, "days", scope_id)
    config = {
        "allowedDays": [int(day) for day in days if day in "1234567"],
        "startTimeUtc": start[:5],
        "endTimeUtc": end[:5],
        # The zone that the page showed. The user's own may have changed since.
        "timezone": _sent(posted, "zone", scope_id),
    }
    return _checked({"type": "time_window", "config": config}, "from", scope_id)


READERS: Mapping[str, Callable[[QueryDict, str], Limit | None]] = {
    "number": _read_number,
    "amount": _read_amount,
    "only": _read_only,
    "from": _read_from,
}


def _sent(posted: QueryDict, kind: str, scope_id: str) -> str:
    return posted.get(field_name(kind, scope_id), "").strip()


def _seconds(posted: QueryDict, kind: str, scope_id: str) -> int:
    return read_whole(_sent(posted, kind, scope_id)) or 0


def _checked(limit: Limit, kind: str, scope_id: str) -> Limit:
    """Return the limit if it is a valid rule. Raises `Invalid`, such as for a period or time that no field offers."""
    try:
        parse_rule(limit)
    except InvalidRules as error:
        raise _wrong(kind, scope_id, _("Choose one of the values that the list offers.")) from error
    return limit


def _wrong(kind: str, scope_id: str, message: str) -> Invalid:
    return Invalid.field(field_name(kind, scope_id), message)
