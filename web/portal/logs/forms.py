"""The filters of an organization's log, which are in the URL."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from audit.entries.facets import NO_AGENT, OTHER_SCOPES, TOKEN_REASONS, is_own
from audit.events import Event
from audit.selectors import Filters
from core.text import plain_text
from decisions.wording import REASONS
from policies.rules import RULES
from resources.catalogue import SCOPE_ID, catalogue
from resources.selectors import own_scopes
from web.forms.fields import IdSelect
from web.forms.filters import OUTCOMES, FilterForm
from web.forms.moments import PeriodField
from web.portal.logs.names import AGENT, DEVELOPER, POLICY, SERVER, OwnNames
from web.portal.logs.phrases import ACTORS, DECIDERS, STEPS

ANY = [("", _("Any"))]
TOKEN = "token"  # all reasons that are about the token
FROM, TO = "from", "to"
# Of a name or an ID in a filter.
MAX_LENGTH = 350
NAME = re.compile(r"[a-z]+(_[a-z]+){1,9}")


def _text(label: Any, **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", **attrs})
    return forms.CharField(label=label, required=False, max_length=200, widget=widget)


class NamedIdField(forms.CharField):
    """An id. The user types it, or the name of one of `names`, which browsers suggest as "name (id)".

    Other ids are accepted too, because the log outlives what it is about. `find` returns the ids for any other name.
    The value is None if the field is empty. `none` is the value that finds rows without such an object, if that is
    possible.
    """

    default_error_messages = {
        "unknown": _("Nothing has this name or ID. Choose a suggestion, or enter an ID."),
        "ambiguous": _("Several have this name. Choose a suggestion, or enter an ID."),
    }

    def __init__(self, prefix: str, *, none: str = "", **kwargs: Any) -> None:
        attrs = {"list": f"suggested-{prefix}", "autocomplete": "off", "placeholder": _("Name or ID")}
        super().__init__(required=False, max_length=MAX_LENGTH, widget=forms.TextInput(attrs=attrs), **kwargs)
        self.id_pattern = re.compile(rf"(?:.*\()?({prefix}_[0-9a-f]{{32,64}})\)?")
        self.none = none
        self.names: Mapping[str, str] = {}
        self.find: Callable[[str], list[str]] = lambda text: []

    @property
    def suggestions(self) -> list[str]:
        return [f"{name} ({pk})" for pk, name in self.names.items()]

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text or text == self.none:
            return text or None
        written = self.id_pattern.fullmatch(text)
        return written[1] if written else self._find(text)

    def _find(self, text: str) -> str:
        found = [pk for pk, name in self.names.items() if name.lower() == text.lower()] or self.find(text)
        if len(found) != 1:
            code = "ambiguous" if found else "unknown"
            raise ValidationError(self.error_messages[code], code=code)
        return found[0]


class LogFilterForm(FilterForm):
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    agent = NamedIdField(AGENT, none=NO_AGENT, label=_("Agent"))
    action = _text(_("Action or scope"), placeholder="email:send", translate="no")
    scope = _text(_("Scope"), placeholder="email:send", translate="no")
    rule = forms.ChoiceField(label=_("Rule"), required=False)
    reason = forms.ChoiceField(label=_("Reason"), required=False)
    policy = NamedIdField(POLICY, label=_("Policy"))
    decider = forms.ChoiceField(label=_("Decided by"), choices=[*ANY, *DECIDERS.items()], required=False)
    server = NamedIdField(SERVER, label=_("Resource server"))
    actor = forms.ChoiceField(label=_("Actor"), required=False)
    user = _text(_("User ID"))
    consent = _text(_("Grant ID"))
    step = forms.ChoiceField(label=_("Request for consent"), choices=[*ANY, *STEPS.items()], required=False)
    declined = _text(_("Scope left out"), placeholder="email:send", translate="no")
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
        self._field("rule").choices = _with_unknown(_rules(), data.get("rule"))
        reasons = [
            *ANY,
            (TOKEN, _("Any problem with the token")),
            *((name, one.label) for name, one in REASONS.items()),
        ]
        self._field("reason").choices = _with_unknown(reasons, data.get("reason"))
        self._field("actor").choices = [*ANY, *ACTORS.items(), *_developers(names)]

    def clean(self) -> dict[str, Any]:
        since, until = (self.cleaned_data.get(name) for name in (FROM, TO))
        if since and until and until <= since:
            self.add_error(TO, gettext("Must be after the beginning of the period."))
        return self.cleaned_data

    def filters(self) -> Filters:
        """Return the valid filters of the log. Check first whether the form is valid."""
        value = self._valid
        request_id, reason = value("request"), value("reason")
        return Filters(
            outcome=value("outcome"),
            agent_id=value("agent"),
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
        """Return the valid filters as the user sent them, with names replaced by ids, which do not change."""
        return {name: self._valid(name) if self._is_named(name) else value for name, value in super()._sent().items()}

    def _words(self, name: str) -> str:
        value = self._valid(name)
        if self._is_named(name):
            return gettext("No agent") if value == NO_AGENT else self.names.names.get(value, value)
        if name == "scope" and value == OTHER_SCOPES:
            return gettext("Other scopes")
        return plain_text(super()._words(name))

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


def _developers(names: OwnNames) -> list[tuple[str, str]]:
    return [(pk, gettext("Developer: %(name)s") % {"name": name}) for pk, name in names.of_kind(DEVELOPER).items()]
