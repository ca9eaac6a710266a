"""How the admin site shows a value: in lists, on the page of a row, and in the tables of joined rows."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import lookup_field
from django.db.models import EmailField, Field, Model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from administration.areas import may_read
from administration.terms import terms_in_words
from audit.models import Entry
from consent.models import Consent
from core import clock
from core.administration import pretty, row_url
from core.text import PlainTextField, plain_text
from policies.models import Policy
from web.display.formats import moment, number

NOTHING = SafeString('<span class="quiet" aria-hidden="true">\u2013</span>')


def cell(request: HttpRequest, page: Any, row: Any, name: str) -> SafeString | str:
    """Return the value of a column of a row. `page` is the `ReadOnlyAdmin` of its model."""
    special = SPECIAL.get((row._meta.label_lower, name))
    if special:
        return special(row)
    field, _attribute, value = lookup_field(name, row, page)
    return _show(request, field, row, value)


def named(text: object) -> SafeString:
    """Return a text that a user or a developer chose, set apart from our words."""
    return format_html('<bdi class="named">{}</bdi>', plain_text(text))


def link(request: HttpRequest, row: Model) -> SafeString:
    """Return the row's name, with a link if the administrator may read it."""
    model, name = type(row), _name_of(row)
    return format_html('<a href="{}">{}</a>', row_url(model, row.pk), name) if may_read(request, model) else name


def pill(text: str, kind: str = "") -> SafeString:
    return format_html('<span class="pill{}">{}</span>', f" pill--{kind}" if kind else "", text)


def _show(request: HttpRequest, field: Any, row: Any, value: Any) -> SafeString | str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, SafeString | bool | datetime):
        return _plain_kinds(value)
    if isinstance(value, Model):
        return link(request, value)
    if field is not None and field.many_to_many:
        return format_html_join(", ", "{}", ((named(one),) for one in value.all())) or NOTHING
    if isinstance(value, list | dict):
        return _structure(value)
    if isinstance(value, int | float):
        return number(round(value, 2))
    return _text(field, row, value)


def _plain_kinds(value: Any) -> SafeString | str:
    if isinstance(value, SafeString):
        return value
    if isinstance(value, datetime):
        return moment(value)
    return pill(_("Yes"), "good") if value else pill(_("No"))


def _structure(value: Any) -> SafeString:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return format_html_join(" ", "<code>{}</code>", ((plain_text(one),) for one in value))
    return pretty(value)


def _text(field: Any, row: Any, value: Any) -> SafeString:
    if isinstance(field, Field) and field.choices:
        return format_html("{}", _(str(getattr(row, f"get_{field.name}_display")())))
    if isinstance(field, PlainTextField | EmailField):
        return named(value)
    return format_html("<code>{}</code>", plain_text(value))


def _name_of(row: Any) -> SafeString:
    if isinstance(row, Consent) or not (getattr(row, "name", "") or getattr(row, "email", "")):
        return format_html("<code>{}</code>", row)
    return named(row)


def _component(template: str, **context: Any) -> SafeString:
    return SafeString(render_to_string(f"components/{template}.html", context).strip())


def _of_consent(row: Consent) -> SafeString:
    return _component("consent_status", status=row.status, is_paused=row.paused_at is not None)


def _since(moment_of: str, words: Callable[[], str]) -> Callable[[Any], SafeString]:
    """Return how to show a time that is set while something is stopped."""

    def show(row: Any) -> SafeString:
        at = getattr(row, moment_of)
        return format_html("{} {}", pill(words(), "bad"), moment(at)) if at else NOTHING

    return show


SPECIAL: Mapping[tuple[str, str], Callable[[Any], SafeString | str]] = {
    ("agents.agent", "status"): lambda row: _component("agent_status", agent=row),
    ("agents.agent", "stopped_at"): _since("stopped_at", lambda: _("Stopped")),
    ("developers.organization", "suspended_at"): _since("suspended_at", lambda: _("Suspended")),
    ("developers.organization", "is_verified"): lambda row: _component("verified", verified=row.is_verified),
    (Consent._meta.label_lower, "status"): _of_consent,
    (Consent._meta.label_lower, "terms"): lambda row: terms_in_words(row) or NOTHING,
    ("approvals.approval", "status"): lambda row: _component(
        "approval_status", status=row.own_status_at(clock.now()), decided=row.decided_at
    ),
    (Policy._meta.label_lower, "enabled"): lambda row: _component("policy_status", policy=row),
    (Entry._meta.label_lower, "outcome"): lambda row: _component("outcome", outcome=row.outcome),
    ("accounts.user", "is_active"): lambda row: (
        pill(_("Active"), "good") if row.is_active else pill(_("Erased") if row.erased_at else _("Deactivated"), "bad")
    ),
    ("resources.customscope", "risk_level"): lambda row: _component("risk", **_risk(row.risk_level)),
    ("core.taskrun", "error"): lambda row: (
        pill(format_html("<code>{}</code>", row.error), "bad") if row.error else pill(_("Done"), "good")
    ),
}


def _risk(level: str) -> dict[str, Any]:
    from web.templatetags.gate import risk  # a template tag

    return risk(level)
