"""The form fields within the sentences of `web.user.connections.limits.fields`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from babel.numbers import get_territory_currencies
from django.http import QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from core.local import local_locale, local_zone
from core.zones import find_zone
from policies.rules import Rule
from policies.rules.time_window import TimeWindow
from web.user.connections.limits.amounts import spell_amount
from web.user.connections.limits.reading import field_name
from web.user.connections.limits.words import WEEK, period_in_words, recipients_of

HOUR, DAY = 3600, 86_400
MONTH = 30 * DAY
EVERY_DAY, WEEKDAYS, WEEKEND = "1234567", "12345", "67"
RATE_PERIODS = (HOUR, DAY, WEEK)
SPEND_PERIODS = (DAY, WEEK, MONTH)
# Suggested while the user types. Any code of ISO 4217 is accepted.
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "CAD", "AUD", "SEK", "PLN", "INR", "BRL")
FALLBACK_CURRENCY = "EUR"
PLAIN = {"autocapitalize": "off", "spellcheck": "false"}


class Fields:
    """Renders the fields of one sentence, each filled with what the user sent or with the given value."""

    def __init__(self, scope_id: str, posted: QueryDict | None, error_id: str) -> None:
        self._scope_id, self._posted, self._error_id = scope_id, posted, error_id

    def text(self, kind: str, value: Any, label: str, **attributes: Any) -> SafeString:
        return format_html("<input{}>", self._attributes(kind, label, value=self._value(kind, value), **attributes))

    def choice(self, kind: str, value: Any, label: str, options: Mapping[str, str]) -> SafeString:
        chosen = self._value(kind, value)
        rows = ((key, SafeString(" selected") if key == chosen else "", words) for key, words in options.items())
        listed = format_html_join("", '<option value="{}"{}>{}</option>', rows)
        return format_html("<select{}>{}</select>", self._attributes(kind, label), listed)

    def zone(self, value: str) -> SafeString:
        """Return the name of the zone, which is sent with the form: what the user sees is what is stored."""
        sent = self._value("zone", value)
        key = sent if find_zone(sent) else value
        hidden = format_html('<input type="hidden" name="{}" value="{}">', self.name("zone"), key)
        name = format_html('<span translate="no">{}</span>', key.replace("_", " "))
        # One element, because the sentence has gaps between its parts.
        return format_html("<span>{}</span>{}", format_html(_("({zone} time)"), zone=name), hidden)

    def name(self, kind: str) -> str:
        return field_name(kind, self._scope_id)

    def _value(self, kind: str, value: Any) -> str:
        name = self.name(kind)
        return self._posted.get(name, "") if self._posted is not None and name in self._posted else str(value)

    def _attributes(self, kind: str, label: str, **more: Any) -> SafeString:
        name = self.name(kind)
        invalid = {"aria-invalid": "true", "aria-describedby": self._error_id} if self._error_id else {}
        given = {"name": name, "id": name, "aria-label": label, **more, **invalid}
        return format_html_join("", ' {}="{}"', given.items())


def _number(fields: Fields, rule: Any) -> dict[str, SafeString]:
    times, period = (rule.max_requests, rule.window_seconds) if rule else ("", DAY)
    return {
        "number": fields.text("number", times, _("Number of times"), inputmode="numeric", size="4", maxlength="7"),
        "period": fields.choice("window", period, _("Period"), _periods(RATE_PERIODS, period)),
    }


def _amount(fields: Fields, rule: Any) -> dict[str, SafeString]:
    currency, period = (rule.currency, rule.window_seconds) if rule else (_own_currency(), DAY)
    amount = spell_amount(rule.max_amount, currency) if rule else ""
    listed = format_html_join("", '<option value="{}">', ((code,) for code in CURRENCIES))
    list_id = f"currencies-{fields.name('currency')}"
    size = {"size": "4", "maxlength": "3"}
    code = fields.text("currency", currency, _("Currency"), list=list_id, **size, **PLAIN)
    return {
        "amount": fields.text("amount", amount, _("Amount"), inputmode="decimal", size="6", maxlength="24"),
        "currency": format_html('{}<datalist id="{}">{}</datalist>', code, list_id, listed),
        "period": fields.choice("period", period, _("Period"), _periods(SPEND_PERIODS, period)),
    }


def _only(fields: Fields, rule: Rule | None) -> dict[str, SafeString]:
    entries = ", ".join(recipients_of(rule))
    example = _("acme.com, bob@example.com")
    given = {"size": "24", "maxlength": "2000", "placeholder": example, **PLAIN}
    return {"recipients": fields.text("only", entries, _("Recipients"), **given)}


def _from(fields: Fields, rule: Any) -> dict[str, SafeString]:
    start, end = (rule.start_time_utc, rule.end_time_utc) if rule else ("", "")
    zone = fields.zone(rule.timezone if rule else local_zone().key)
    days = days_of(rule) if rule else EVERY_DAY
    words = {EVERY_DAY: _("every day"), WEEKDAYS: _("Monday to Friday"), WEEKEND: _("Saturday and Sunday")}
    return {
        "start": fields.text("from", start, _("From"), type="time"),
        "end": fields.text("until", end, _("Until"), type="time"),
        "zone": zone,
        "days": fields.choice("days", days, _("Days"), words),
    }


BUILDERS: Mapping[str, Callable[[Fields, Any], dict[str, SafeString]]] = {
    "number": _number,
    "amount": _amount,
    "only": _only,
    "from": _from,
}


def _periods(offered: Iterable[int], current: int) -> dict[str, str]:
    """Return the periods to choose from, and the one in force, in seconds with their words."""
    return {str(seconds): period_in_words(seconds) for seconds in sorted({*offered, current})}


def _own_currency() -> str:
    """Return the currency of the user's region."""
    territory = local_locale().territory
    found = get_territory_currencies(territory) if territory else []
    return str(found[0]) if found else FALLBACK_CURRENCY


def days_of(rule: TimeWindow) -> str:
    return "".join(map(str, sorted(rule.days)))
