"""The filters of an organization's log, which are in the URL.

The agent, the outcome and the time have fields of their own on the page. The others, and what is wrong with any, are in
one search field (`web.portal.logs.search`), which only leads to the URL.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit.entries.facets import NO_AGENT, OTHER_SCOPES, TOKEN_REASONS, is_own
from audit.events import Event
from audit.selectors import Filters
from core import clock
from decisions.wording import REASONS
from policies.rules import RULES
from resources.catalogue import SCOPE_ID, catalogue
from resources.selectors import own_scopes
from web.forms.filters import OUTCOMES, FilterForm
from web.forms.moments import MomentInput, PeriodField, require_year
from web.portal.logs.names import AGENT, DEVELOPER, KEY, POLICY, SERVER, OwnNames
from web.portal.logs.phrases import ACTORS, DECIDERS, STEPS
from web.portal.logs.rows import shortened
from web.portal.logs.search import MAX_LENGTH as MAX_SEARCH
from web.portal.logs.search import read_search, suggestion, write_search

ANY = [("", _("Any"))]
DELEGATION = "del"
TOKEN = "token"  # all reasons that are about the token
FROM, TO = "from", "to"
# The search, and a time before now: the page leads from them to the filters.
SEARCH, LAST = "q", "last"
CHOSEN = "times"  # a beginning and an end, instead of a time before now
PERIODS = [
    ("", _("Time")),
    ("1h", _("Last hour")),
    ("24h", _("Last 24 hours")),
    ("7d", _("Last 7 days")),
    ("30d", _("Last 30 days")),
    (CHOSEN, _("Between two times")),
]
AGO = re.compile(r"(\d{1,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Of a name or an ID in a filter.
MAX_LENGTH = 350
NAME = re.compile(r"[a-z]+(_[a-z]+){1,9}")


def _text() -> forms.CharField:
    return forms.CharField(required=False, max_length=200)


class LogPeriodField(PeriodField):
    """A period's end that can also be a time before now, such as `2h` or `7d`."""

    default_error_messages = {
        "invalid": _(
            "Must be a date between 2000 and 2099, such as 2026-11-27, a time, such as 2026-11-27T14:00, or how long "
            "ago, such as 2h or 7d."
        )
    }
    widget = MomentInput

    def _read(self, text: str) -> datetime:
        if (ago := AGO.fullmatch(text)) is None:
            return super()._read(text)
        moment = clock.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        require_year(moment)
        return moment


class NamedIdField(forms.CharField):
    """An id, or the name of one of `names`.

    Other ids are accepted too, because the log outlives what it is about. `find` returns the ids for any other name.
    The value is None if the field is empty. `none` is the value that finds rows without such an object, if that is
    possible.
    """

    default_error_messages = {
        "unknown": _("Nothing has this name or ID."),
        "ambiguous": _("Several have this name. Use the ID."),
    }

    def __init__(self, prefix: str, *, none: str = "", **kwargs: Any) -> None:
        super().__init__(required=False, max_length=MAX_LENGTH, **kwargs)
        self.id_pattern = re.compile(rf"{prefix}_[0-9a-f]{{32,64}}")
        self.none = none
        self.names: Mapping[str, str] = {}
        self.find: Callable[[str], list[str]] = lambda text: []

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text or text == self.none:
            return text or None
        return text if self.id_pattern.fullmatch(text) else self._find(text)

    def _find(self, text: str) -> str:
        found = [pk for pk, name in self.names.items() if name.lower() == text.lower()] or self.find(text)
        if len(found) != 1:
            code = "ambiguous" if found else "unknown"
            raise ValidationError(self.error_messages[code], code=code)
        return found[0]


class LogFilterForm(FilterForm):
    q = forms.CharField(label=_("Search"), required=False, max_length=MAX_SEARCH)
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    agent = NamedIdField(AGENT, none=NO_AGENT)
    chain = NamedIdField(f"(?:{AGENT}|{DELEGATION})")
    action = _text()
    scope = _text()
    event = forms.ChoiceField(choices=[*ANY, *((event, event) for event in Event)], required=False)
    reason = forms.ChoiceField(required=False)
    user = _text()
    request = _text()
    consent = _text()
    policy = NamedIdField(POLICY)
    rule = forms.ChoiceField(required=False)
    decider = forms.ChoiceField(choices=[*ANY, *DECIDERS.items()], required=False)
    server = NamedIdField(SERVER)
    actor = forms.ChoiceField(required=False)
    step = forms.ChoiceField(choices=[*ANY, *STEPS.items()], required=False)
    declined = _text()

    def __init__(self, data: Any, *, names: OwnNames) -> None:
        super().__init__(data)
        self.names = names
        self.read: dict[str, str] | None = None
        self.fields[FROM] = LogPeriodField(label=_("From"))
        self.fields[TO] = LogPeriodField(label=_("To"), is_end=True)
        for name, kind in (("agent", AGENT), ("chain", AGENT), ("policy", POLICY), ("server", SERVER)):
            field = cast("NamedIdField", self.fields[name])
            field.names, field.find = names.of_kind(kind), partial(names.find, kind)
        for each in self.fields.values():
            if isinstance(each, forms.ChoiceField):
                each.error_messages["invalid_choice"] = gettext("There is no such value.")
        self._field("rule").choices = _with_unknown(_rules(), data.get("rule"))
        reasons = [
            *ANY,
            (TOKEN, _("Any problem with the token")),
            *((name, one.label) for name, one in REASONS.items()),
        ]
        self._field("reason").choices = _with_unknown(reasons, data.get("reason"))
        self._field("actor").choices = [*ANY, *ACTORS.items(), *_members_and_keys(names)]

    def clean_q(self) -> dict[str, str]:
        """Return the filters in the search, by field."""
        self.read = read_search(self.cleaned_data[SEARCH], self.filter_names)
        return self.read

    def clean(self) -> dict[str, Any]:
        since, until = (self.cleaned_data.get(name) for name in (FROM, TO))
        if since and until and until <= since:
            self.add_error(TO, gettext("Must be after the beginning of the period."))
        for name in [name for name in self.errors if name not in (SEARCH, FROM, TO)]:
            typed, message = write_search({name: self.data[name]}), self.errors.pop(name)[0]
            self.add_error(SEARCH, f"“{typed}”: {message} {self._remedy(name)}".rstrip())
        return self.cleaned_data

    @property
    def filter_names(self) -> list[str]:
        return [name for name in self.fields if name != SEARCH]

    @property
    def searched(self) -> str | None:
        """The query that has the filters of the search. None if nothing was searched, or it cannot be read."""
        self.is_valid()
        if SEARCH not in self.data or self.read is None:
            return None
        sent = {name: self.data.get(name, "") for name in (*self.filter_names, LAST)} | self.read
        if sent[LAST] != CHOSEN:
            sent[FROM] = sent[FROM] or sent.pop(LAST)
        return urlencode({name: value for name, value in sent.items() if value})

    @property
    def search(self) -> str:
        """The text in the search field: what was typed, if it cannot be read, else the filters without own fields."""
        if SEARCH in self.data:
            return str(self.data[SEARCH])
        own = {name for name in ("agent", "outcome") if self._valid(name)} | {FROM, TO}
        sent = [name for name in self.filter_names if name not in own and self.data.get(name)]
        return write_search({name: self._written(name) for name in sent})

    @property
    def agents(self) -> list[tuple[str, str]]:
        """The choices of an agent: those suggested, and the one in the filter."""
        names, wanted = self.names.of_kind(AGENT), self._valid("agent")
        if wanted and wanted not in names:
            known = self.names.with_those_of([wanted]).names
            names[wanted] = gettext("No agent") if wanted == NO_AGENT else known.get(wanted, wanted)
        count = Counter(names.values())
        return [(pk, name if count[name] == 1 else f"{name} ({shortened(pk)})") for pk, name in names.items()]

    @property
    def since(self) -> str:
        """The beginning of the period, as sent."""
        return str(self.data.get(FROM, ""))

    @property
    def periods(self) -> list[tuple[str, Any]]:
        """The choices of a time before now. Empty if the page shows its beginning and end instead."""
        since = self.since
        if self.data.get(LAST) == CHOSEN or self.data.get(TO) or (since and not AGO.fullmatch(since)):
            return []
        own: list[tuple[str, Any]] = [] if since in dict(PERIODS) else [(since, gettext("Last %s") % since)]
        return [*PERIODS, *own]

    def filters(self) -> Filters:
        """Return the valid filters of the log. Check first whether the form is valid."""
        value = self._valid
        request_id, reason = value("request"), value("reason")
        return Filters(
            outcome=value("outcome"),
            agent_id=value("agent"),
            chain=value("chain"),
            action=value("action"),
            scope=value("scope"),
            rule=value("rule"),
            reason=None if reason == TOKEN else reason,
            reasons=TOKEN_REASONS if reason == TOKEN else None,
            policy_id=value("policy"),
            decider=value("decider"),
            step=value("step"),
            declined=value("declined"),
            server_id=value("server"),
            actor=value("actor"),
            user_id=value("user"),
            consent_id=value("consent"),
            event=value("event"),
            request_id=request_id if is_own(request_id) else None,
            since=value(FROM),
            until=value(TO),
        )

    @property
    def foreign_request_id(self) -> str:
        """The request id in the filter, if a caller chose it. The log has no index of these."""
        request_id = self._valid("request")
        return "" if request_id is None or is_own(request_id) else str(request_id)

    @property
    def foreign_scope(self) -> str:
        """The scope in the filter, if it is neither in the catalogue nor one of the organization's.

        The log finds such a scope only in entries that concern an organization that defines it, or whose token had it.
        """
        wanted = self._valid("scope") or self._valid("action") or ""
        is_known = not SCOPE_ID.fullmatch(wanted) or wanted in catalogue()
        return "" if is_known or own_scopes(self.names.organization_id).filter(pk=wanted).exists() else str(wanted)

    @property
    def other_scopes_query(self) -> str:
        """The query of the page with entries that asked for scopes that the log does not index."""
        return self.query(scope=OTHER_SCOPES, action="")

    def _sent(self) -> dict[str, str]:
        """Return the valid filters as sent, with names replaced by ids, which do not change."""
        sent = {name: value for name, value in super()._sent().items() if name != SEARCH}
        return {name: self._valid(name) if self._is_named(name) else value for name, value in sent.items()}

    def _written(self, name: str) -> str:
        """Return the value of a filter as the search shows it: a name, unless several have it."""
        value = self._valid(name)
        if value is None or not self._is_named(name):
            return str(self.data[name])
        names = cast("NamedIdField", self.fields[name]).names
        return names[value] if [*names.values()].count(names.get(value, "")) == 1 else value

    def _remedy(self, name: str) -> str:
        """Return what to do about an unknown value."""
        field, known = self.fields[name], []
        if isinstance(field, NamedIdField):
            known = [*field.names.values()]
        elif isinstance(field, forms.ChoiceField):
            known = [value for value, _label in cast("list[Any]", field.choices) if value]
        return suggestion(self.data[name], known) if known else ""

    def _is_named(self, name: str) -> bool:
        return isinstance(self.fields[name], NamedIdField)

    def _field(self, name: str) -> forms.ChoiceField:
        return cast("forms.ChoiceField", self.fields[name])


def _rules() -> list[Any]:
    return [*ANY, *sorted(((name, gettext(rule.title)) for name, rule in RULES.items()), key=lambda one: one[1])]


def _with_unknown(choices: list[Any], name: str | None) -> list[Any]:
    """Also return the name of a rule type or a reason that no longer exists, because the log outlives them."""
    is_unknown = name and NAME.fullmatch(name) and name not in dict(choices)
    return [*choices, (name, name)] if is_unknown else choices


def _members_and_keys(names: OwnNames) -> list[tuple[str, str]]:
    return [
        *((pk, gettext("Developer: %(name)s") % {"name": name}) for pk, name in names.of_kind(DEVELOPER).items()),
        *((pk, gettext("API key: %(name)s") % {"name": name}) for pk, name in names.of_kind(KEY).items()),
    ]
