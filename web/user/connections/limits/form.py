"""The limits of a scope as rows of fields, on the consent screen and on the page of a connection.

Each kind of limit has one row, filled with the limit of this kind that is in force. Limits that do not fit the row are
shown as text beside it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.errors import FieldError, Invalid
from core.local import local_zone
from core.zones import find_zone
from policies.rules import Rule, find_rule
from policies.rules.rate_limit import RateLimit
from policies.rules.spend_limit import SpendLimit
from policies.rules.time_window import TimeWindow
from policies.rules.words import WEEK, period_in_words
from resources.catalogue import Scope
from web.forms.currencies import currencies, own_currency
from web.user.connections.limits.descriptions import recipients_of, rule_in_words
from web.user.connections.limits.parsing import READERS, field_name, is_spelled, merge, spell_amount

type Limits = Mapping[str, Sequence[Mapping[str, Any]]]
type Kinds = dict[str, Callable[[Rule | None], bool]]

HOUR, DAY = 3600, 86_400
MONTH = 30 * DAY
PERIODS = {"window": (HOUR, DAY, WEEK), "period": (DAY, WEEK, MONTH)}
EVERY_DAY, WEEKDAYS, WEEKEND = "1234567", "12345", "67"
CHATS = ("messaging", "slack")
ADDRESSES = "bob@example.com, acme.com"
PLAIN = {"autocapitalize": "off", "spellcheck": "false"}
# The fields of each kind of limit. The first has the name of the kind.
PARTS = {
    "number": ("number", "window"),
    "amount": ("amount", "currency", "period"),
    "only": ("only",),
    "from": ("from", "until", "days", "zone"),
}


def _text(label: Any, **attrs: Any) -> forms.Field:
    return forms.CharField(label=label, widget=forms.TextInput(attrs))


class LimitForm(forms.Form):
    """The limit fields of one scope, filled with what the user sent or, where they sent nothing, with the given values.

    This form only renders them. `parsing` reads what was sent.
    """

    use_required_attribute = False
    number = _text(gettext_lazy("Number of times"), inputmode="numeric", maxlength=7)
    window = forms.ChoiceField(label=gettext_lazy("Period"))
    amount = _text(gettext_lazy("Amount"), inputmode="decimal", maxlength=24)
    currency = forms.ChoiceField(label=gettext_lazy("Currency"))
    period = forms.ChoiceField(label=gettext_lazy("Period"))
    only = _text(gettext_lazy("Recipients"), maxlength=2000, **PLAIN)
    until = _text(gettext_lazy("Until"), type="time")
    zone = forms.CharField(widget=forms.HiddenInput)
    days = forms.ChoiceField(
        label=gettext_lazy("Days"),
        choices=[
            (EVERY_DAY, gettext_lazy("every day")),
            (WEEKDAYS, gettext_lazy("Monday to Friday")),
            (WEEKEND, gettext_lazy("Saturday and Sunday")),
        ],
    )

    def __init__(self, scope_id: str, given: Mapping[str, Any], posted: QueryDict | None) -> None:
        self._scope_id = scope_id
        sent = {name: posted[key] for name in given if posted and (key := field_name(name, scope_id)) in posted}
        super().__init__(initial={**given, **sent}, auto_id=False)
        self.fields["from"] = _text(_("From"), type="time")  # the name is reserved in Python
        self.fields["currency"].choices = currencies(str(self.initial["currency"]))  # type: ignore[attr-defined]
        for name, offered in PERIODS.items():
            seconds = sorted({*offered, given[name]})
            self.fields[name].choices = [(str(one), _per(one)) for one in seconds]  # type: ignore[attr-defined]
        if not find_zone(str(self.initial["zone"])):
            self.initial["zone"] = given["zone"]

    def add_prefix(self, field_name_: str) -> str:
        return field_name(field_name_, self._scope_id)

    def render_part(self, name: str, error_id: str) -> SafeString:
        """Return the markup of a field. `error_id` is the id of the element with its error, or empty.

        Errors link to the first field of a row, so only that has an id.
        """
        if name == "zone":
            return self[name].as_widget()
        target = {"id": self.add_prefix(name)} if name in PARTS else {}
        invalid = {"aria-invalid": "true", "aria-describedby": error_id} if error_id else {}
        return self[name].as_widget(attrs={"aria-label": str(self.fields[name].label), **target, **invalid})


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of limit. The template has its label. `name` is the name of the main field, `zone` that of the times."""

    kind: str
    name: str
    inputs: list[SafeString]
    error: str
    zone: str

    @property
    def error_id(self) -> str:
        return f"error-{self.name}"


@dataclass(frozen=True, slots=True)
class LimitFields:
    """The editor of one scope. `others` are limits in force that have no fields, in words."""

    scope: Scope
    rows: list[Row]
    others: list[str]
    in_force: list[str]

    @property
    def has_addresses(self) -> bool:
        return _example_of(self.scope) == ADDRESSES and any(row.kind == "only" for row in self.rows)

    @property
    def has_amount(self) -> bool:
        return any(row.kind == "amount" for row in self.rows)

    @property
    def has_error(self) -> bool:
        return any(row.error for row in self.rows)


def limit_fields(
    scope: Scope,
    current: Sequence[Mapping[str, Any]],
    *,
    posted: QueryDict | None = None,
    errors: Iterable[FieldError] = (),
) -> LimitFields:
    """Return the editor for a scope's limits, filled with those in force or with what the user sent."""
    found = [find_rule(limit) for limit in current]
    rules = [rule for rule in found if rule]
    wrong = {error.field: error.message for error in errors}
    shown = {kind: next(filter(is_shown, rules), None) for kind, is_shown in _kinds_of(scope, rules).items()}
    form = LimitForm(scope.id, _given(shown), posted)
    form.fields["only"].widget.attrs["placeholder"] = _example_of(scope)
    in_fields = [rule for rule in shown.values() if rule]
    return LimitFields(
        scope,
        [_row(form, kind, wrong) for kind in shown],
        others=[rule_in_words(rule) for rule in found if rule not in in_fields],
        in_force=[rule_in_words(rule) for rule in found],
    )


def read_limits(
    posted: QueryDict, scopes: Iterable[Scope], current: Limits, *, may_widen: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Return all limits of each scope whose fields change them.

    An empty field keeps what is in force. With `may_widen`, as on the consent screen, the fields replace the limits
    that they show: an empty field removes its limit, and a higher maximum replaces it. Otherwise limits can only become
    tighter. Raises `Invalid`, whose errors have the names of the fields.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    errors: list[FieldError] = []
    for scope in scopes:
        before = after = [dict(limit) for limit in current.get(scope.id, ())]
        for kind, is_shown in _kinds_of(scope, [rule for rule in map(find_rule, before) if rule]).items():
            name = field_name(kind, scope.id)
            if name not in posted:
                continue
            shown = next((limit for limit in before if is_shown(find_rule(limit))), None)
            try:
                after = merge(after, shown, READERS[kind](posted, scope.id), name=name, may_widen=may_widen)
            except Invalid as error:
                errors += error.errors
        if after != before:
            found[scope.id] = after
    if errors:
        raise Invalid(_("A limit cannot be used as it is."), errors=tuple(errors))
    return found


def days_of(rule: TimeWindow) -> str:
    return "".join(map(str, sorted(rule.days)))


def _row(form: LimitForm, kind: str, wrong: Mapping[str, str]) -> Row:
    name = form.add_prefix(kind)
    error_id = f"error-{name}" if name in wrong else ""
    inputs = [form.render_part(part, error_id) for part in PARTS[kind]]
    return Row(kind, name, inputs, wrong.get(name, ""), zone=form.initial["zone"].replace("_", " "))


def _per(seconds: int) -> str:
    return _("per %(period)s") % {"period": period_in_words(seconds)}


def _example_of(scope: Scope) -> str:
    """Return examples of recipients: names of who is paid, of people and channels, or addresses."""
    if scope.moves_money:
        return "Acme Store, Bob"
    return "Bob, #team" if scope.category in CHATS and not scope.defined_by else ADDRESSES


def _given(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all fields, including those of the rules that the rows show."""
    number, amount, window = (shown.get(kind) for kind in ("number", "amount", "from"))
    return {
        "number": number.max_requests if number else "",
        "window": number.window_seconds if number else DAY,
        "amount": spell_amount(amount.max_amount) if amount else "",
        "currency": amount.currency if amount else own_currency(),
        "period": amount.window_seconds if amount else DAY,
        "only": ", ".join(recipients_of(shown.get("only"))),
        "from": window.start_time_utc if window else "",
        "until": window.end_time_utc if window else "",
        "zone": window.timezone if window else local_zone().key,
        "days": days_of(window) if window else EVERY_DAY,
    }


def _kinds_of(scope: Scope, rules: Sequence[Rule]) -> Kinds:
    """Return the kinds of limits that suit the scope and those in force, each with what its row shows.

    A limit with `actions` has no fields.
    """
    kinds: Kinds = {"number": _is_rate}
    if scope.moves_money or any(map(_is_spend, rules)):
        kinds["amount"] = _is_spend
    if scope.has_recipient or any(map(recipients_of, rules)):
        kinds["only"] = lambda rule: bool(recipients_of(rule))
    kinds["from"] = _is_window
    return kinds


def _is_rate(rule: Rule | None) -> bool:
    return isinstance(rule, RateLimit) and not rule.actions


def _is_spend(rule: Rule | None) -> bool:
    return isinstance(rule, SpendLimit) and not rule.actions and is_spelled(rule.max_amount)


def _is_window(rule: Rule | None) -> bool:
    """Return whether the fields can express it. The row names the zone, which may differ from the user's own."""
    return isinstance(rule, TimeWindow) and not rule.actions and days_of(rule) in (WEEKDAYS, WEEKEND, EVERY_DAY)
