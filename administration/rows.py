"""How the admin site shows the columns of a row: what they are called, and their values."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import lookup_field
from django.db.models import EmailField, Field, Model
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from administration.areas import may_read
from administration.links import named, pretty, row_url
from consent.models import Consent
from core.formats import moment, number
from core.text import PlainTextField, plain_text
from developers.roles import Role

NOTHING = SafeString('<span class="quiet" aria-hidden="true">\u2013</span>')
# Names of columns that say too little, or that users know by another name.
LABELS = {
    "agent_id": gettext_lazy("Agent"),
    "application": gettext_lazy("Agent"),
    "asked_scopes": gettext_lazy("Scopes that ask"),
    "cannot": gettext_lazy("What it cannot do"),
    "client_id": gettext_lazy("Client ID"),
    "deletes_at": gettext_lazy("Will be deleted"),
    "door": gettext_lazy("Opened by"),
    "enabled": gettext_lazy("Status"),
    "error": gettext_lazy("Result"),
    "groups": gettext_lazy("Roles"),
    "id": gettext_lazy("ID"),
    "is_reversible": gettext_lazy("Can be undone"),
    "is_staff": gettext_lazy("Administrator"),
    "kid": gettext_lazy("Key ID"),
    "redirect_uri": gettext_lazy("Redirect URI"),
    "redirect_uris": gettext_lazy("Redirect URIs"),
    "require_pkce": gettext_lazy("Requires PKCE"),
    "result": gettext_lazy("Rows"),
    "user": gettext_lazy("Person"),
    "user_agent": gettext_lazy("Program"),
}
# The statuses of agents, consents, approvals, people and memberships.
STATUSES = {
    "active": gettext_lazy("Active"),
    "suspended": gettext_lazy("Suspended"),
    "stopped": gettext_lazy("Stopped by an administrator"),
    "deleted": gettext_lazy("Deleted"),
    "pending": gettext_lazy("Waiting"),
    "approved": gettext_lazy("Allowed"),
    "used": gettext_lazy("Used"),
    "denied": gettext_lazy("Refused"),
    "expired": gettext_lazy("Expired"),
    "revoked": gettext_lazy("Revoked"),
    "replaced": gettext_lazy("Replaced"),
    "deactivated": gettext_lazy("Deactivated"),
    "erased": gettext_lazy("Erased"),
    "ended": gettext_lazy("Ended"),
    **{role.value: role.label for role in Role},
}
KINDS = {
    "deactivated": "bad",
    "active": "good",
    "approved": "good",
    "pending": "note",
    "suspended": "bad",
    "stopped": "bad",
}


def label_of(page: Any, name: str) -> str:
    """Return the label of a column of a `ReadOnlyAdmin`: that of the page's own method, or of the field."""
    described = getattr(getattr(page, name, None), "short_description", None)
    words = name.removesuffix("_at").removeprefix("is_").replace("_", " ")
    return str(described or LABELS.get(name) or _(capfirst(words)))


def cell(request: HttpRequest, page: Any, row: Any, name: str, at: Callable[[datetime], Any] = moment) -> Any:
    """Return the value of a column of a row. Its times are shown by `at`."""
    field, _attribute, value = lookup_field(name, row, page)
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, Model):
        return link(request, value)
    if field is not None and field.many_to_many:
        return format_html_join(", ", "{}", ((named(one),) for one in value.all())) or NOTHING
    if isinstance(value, datetime):
        return at(value)
    return _plain(value) or _text(field, row, value)


def link(request: HttpRequest, row: Any) -> SafeString:
    """Return the row's name, with a link if the administrator may read it."""
    has_name = getattr(row, "name", "") or getattr(row, "email", "")
    name = named(row) if has_name and not isinstance(row, Consent) else format_html("<code>{}</code>", row)
    model = type(row)
    return format_html('<a href="{}">{}</a>', row_url(model, row.pk), name) if may_read(request, model) else name


def pill(text: str, kind: str = "") -> SafeString:
    return format_html('<span class="pill{}">{}</span>', f" pill--{kind}" if kind else "", text)


def status_pill(status: str) -> SafeString:
    """Return a status of a row."""
    if not status:
        return NOTHING
    return pill(str(STATUSES.get(status, status)), KINDS.get(status, ""))


def _plain(value: Any) -> SafeString | str:
    """Return a value that is shown in the same way in each column. Empty for other values."""
    if isinstance(value, SafeString):
        return value
    if isinstance(value, bool):
        return pill(_("Yes"), "good") if value else pill(_("No"))
    if isinstance(value, int | float):
        return number(round(value, 2))
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return format_html_join(" ", "<code>{}</code>", ((plain_text(one),) for one in value))
    return pretty(value) if isinstance(value, list | dict) else ""


def _text(field: Any, row: Any, value: Any) -> SafeString:
    if isinstance(field, Field) and field.choices:
        return format_html("{}", _(str(getattr(row, f"get_{field.name}_display")())))
    if isinstance(field, PlainTextField | EmailField):
        return named(value)
    return format_html("<code>{}</code>", plain_text(value))
