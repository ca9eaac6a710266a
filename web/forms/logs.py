"""The filters of an organization's log, which are in the URL."""

from functools import partial
from typing import Any, Self, cast

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit.entries.facets import is_own
from audit.events import Event
from audit.selectors import Filters
from core.text import plain_text
from decisions.requests import Reason
from developers.models import SavedView
from developers.saved_views import MAX_NAME_LENGTH, MAX_QUERY_LENGTH
from policies.rules import RULES
from web.formats import exactly
from web.forms.fields import IdSelect, PlainField
from web.forms.filters import OUTCOMES, FilterForm
from web.forms.moments import PeriodField
from web.forms.named_id import NamedIdField
from web.logs.names import AGENT, DEVELOPER, POLICY, SERVER, OwnNames
from web.logs.words import ACTORS

ANY = [("", _("Any"))]
FROM, TO = "from", "to"


def _text(label: Any, **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", **attrs})
    return forms.CharField(label=label, required=False, max_length=200, widget=widget)


class LogFilterForm(FilterForm):
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    agent = NamedIdField(AGENT, label=_("Agent"))
    action = _text(_("Action or scope"), placeholder="email:send", translate="no")
    rule = forms.ChoiceField(label=_("Rule or reason"), required=False, widget=IdSelect)
    policy = NamedIdField(POLICY, label=_("Policy"))
    server = NamedIdField(SERVER, label=_("Resource server"))
    actor = forms.ChoiceField(label=_("Actor"), required=False)
    user = _text(_("User ID"))
    consent = _text(_("Grant ID"))
    event = forms.ChoiceField(
        label=_("Event"), choices=[*ANY, *((event, event) for event in Event)], required=False, widget=IdSelect
    )
    request = _text(_("Request ID"))

    def __init__(self, data: Any, *, names: OwnNames) -> None:
        super().__init__(data)
        self.names = names
        self.fields[FROM] = PeriodField(label=_("From"))
        self.fields[TO] = PeriodField(label=_("To"), is_end=True)
        for name, kind in (("agent", AGENT), ("policy", POLICY), ("server", SERVER)):
            field = cast("NamedIdField", self.fields[name])
            field.names, field.find = names.of_kind(kind), partial(names.find, kind)
        self._field("rule").choices = _rules()
        self._field("actor").choices = [*ANY, *ACTORS.items(), *_developers(names)]

    def filters(self) -> Filters:
        """Return the filters of the log."""
        value = self._valid
        request_id = value("request")
        return Filters(
            outcome=value("outcome"),
            agent_id=value("agent"),
            action=value("action"),
            rule=value("rule"),
            policy_id=value("policy"),
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
        """The request id that the caller chose, if the filter is one. The log has no index of these."""
        request_id = self._valid("request")
        return "" if request_id is None or is_own(request_id) else str(request_id)

    def _sent(self) -> dict[str, str]:
        """Return the valid filters as the user sent them. Names become ids, which stay what they are."""
        return {name: self._valid(name) if self._is_named(name) else value for name, value in super()._sent().items()}

    def _words(self, name: str) -> str:
        value = self._valid(name)
        if self._is_named(name):
            return self.names.names.get(value, value)
        if name in (FROM, TO):
            day = self.data[name].strip()
            return exactly(value) if "T" in day or " " in day else day
        return plain_text(super()._words(name))

    def _is_named(self, name: str) -> bool:
        return isinstance(self.fields[name], NamedIdField)

    def _field(self, name: str) -> forms.ChoiceField:
        return cast("forms.ChoiceField", self.fields[name])


def _rules() -> list[Any]:
    types = [(name, gettext(rule.title)) for name, rule in RULES.items()]
    return [*ANY, (_("Rules"), sorted(types, key=lambda one: one[1])), (_("Reasons"), [(one, one) for one in Reason])]


def _developers(names: OwnNames) -> list[tuple[str, str]]:
    return [(pk, gettext("Developer: %(name)s") % {"name": name}) for pk, name in names.of_kind(DEVELOPER).items()]


class ViewForm(forms.Form):
    """The name of a saved view. A new one also has its filters, as the query of the page."""

    name = PlainField(label=_("Name of the view"), max_length=MAX_NAME_LENGTH)
    query = forms.CharField(required=False, max_length=MAX_QUERY_LENGTH, widget=forms.HiddenInput)

    @classmethod
    def about(cls, view: SavedView) -> Self:
        """Return the form that renames the view."""
        return cls(initial={"name": view.name}, auto_id=f"id_{view.pk}_%s")
