"""Template tags and filters for all pages."""

from datetime import UTC, datetime
from typing import Any

from django import forms, template
from django.forms.boundfield import BoundField
from django.template.defaultfilters import date as format_date
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from consent.approval_selectors import count_waiting
from core.text import plain_text
from resources.categories import category_name
from resources.models import RISK_LEVELS
from web import display

register = template.Library()

MAX_COUNTED = 100
# The first match counts.
WIDGET_KINDS = (
    ("choices", (forms.RadioSelect, forms.CheckboxSelectMultiple)),
    ("checkbox", (forms.CheckboxInput,)),
    ("select", (forms.Select,)),
    ("joined", (forms.MultiWidget,)),
)


register.filter("plain", plain_text)
register.filter("category_name", category_name)


@register.inclusion_tag("components/risk.html")
def risk(level: str) -> dict[str, Any]:
    """Render the four-bar risk gauge with its label."""
    height = display.risk_level(level)
    name = RISK_LEVELS[height - 1]
    return {"level": name, "word": display.RISK_WORDS[name], "bars": [n < height for n in range(4)]}


@register.simple_tag(takes_context=True)
def nav_link(context: template.Context, name: str, label: str, *, exact: bool = False) -> SafeString:
    """Return a link, marked as current if the current page is its target or below it."""
    url, path = reverse(name), context["request"].path
    is_current = path == url or (not exact and path.startswith(f"{url.rstrip('/')}/"))
    current = SafeString(' aria-current="page"') if is_current else ""
    return format_html('<a class="menu__link" href="{}"{}>{}</a>', url, current, label)


@register.simple_tag(takes_context=True)
def approvals_label(context: template.Context) -> str:
    """Return "Approvals" with how many requests wait for the user. The developer's portal does not count them."""
    if context["request"].path.startswith("/developer"):
        return _("Approvals")
    waiting = count_waiting(context["user"], limit=MAX_COUNTED)
    if not waiting:
        return _("Approvals")
    number = f"{waiting}" if waiting < MAX_COUNTED else f"{MAX_COUNTED - 1}+"
    return _("Approvals (%(number)s)") % {"number": number}


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """Return `<time>` to the minute in UTC, or "never" for None."""
    if value is None:
        return _("never")
    value = value.astimezone(UTC)
    text = _("%(day)s, %(time)s UTC") % {
        "day": format_date(value, "j M Y"),
        "time": format_date(value, "H:i"),
    }
    return format_html('<time datetime="{}">{}</time>', value.isoformat(timespec="seconds"), text)


@register.filter
def day(value: datetime) -> SafeString:
    """Return `<time>` with only the date."""
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), format_date(value, "j F Y"))


@register.filter
def widget_kind(field: BoundField) -> str:
    """Return which markup the field needs. Empty for a single input below its label."""
    kinds = [(kind, types) for kind, types in WIDGET_KINDS if isinstance(field.field.widget, types)]
    return kinds[0][0] if kinds else ""
