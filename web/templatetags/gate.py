"""Template tags and filters for all pages."""

from collections.abc import Mapping
from typing import Any

from django import forms, template
from django.conf import settings
from django.forms.boundfield import BoundField
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from agents.models import Agent
from agents.redirects import web_host
from approvals.selectors import count_waiting
from core import clock, formats, marks
from core.languages import is_for_users
from core.text import plain_text
from developers.access import access_of_member
from developers.models import Developer
from developers.role_words import NAMES
from developers.roles import Right
from resources.catalogue import Scope
from resources.categories import category_name
from resources.risks import RISK_LEVELS, RISK_WORDS
from web.display import labels as display
from web.display.art import art
from web.display.icons import icon
from web.public.docs.pages import menu
from web.public.preferences import THEME_CHOICES, theme_of
from web.requests.access import with_next
from web.requests.portal import portal_url
from web.wording.cannot import cannot_beside

register = template.Library()
CURRENT = SafeString(' aria-current="page"')

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
register.filter("moment", formats.moment)
register.filter("ago", formats.ago)
register.filter("left", formats.left)
register.filter("day", formats.day)
register.filter("stamp", formats.stamp)
register.filter("clock_time", formats.clock_time)
register.filter("money", formats.money)
register.filter("number", formats.number)
register.filter("percent", formats.percent)
register.filter("host", web_host)
register.simple_tag(icon, name="icon")
register.simple_tag(lambda: formats.short_day(clock.now()), name="today")
register.simple_tag(art, name="art")
register.filter("role_name", lambda role: NAMES[role])
register.filter("label_words", display.label_words)
register.simple_tag(menu, name="docs_menu")


@register.inclusion_tag("components/risk.html")
def risk(level: str) -> dict[str, Any]:
    """Render the four-bar risk gauge with its label."""
    name = RISK_LEVELS[display.risk_level(level) - 1]
    return {"level": name, "word": RISK_WORDS[name]}


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """Return "light" or "dark", or "system" if neither is chosen or there is no request, as for a server error."""
    return theme_of(context.get("request")) or "system"


@register.simple_tag(takes_context=True)
def theme_choices(context: template.Context) -> list[dict[str, Any]]:
    chosen = theme_of(context.get("request"))
    return [
        {"value": value, "label": gettext(label), "picture": picture, "is_chosen": value == chosen}
        for value, label, picture in THEME_CHOICES
    ]


@register.simple_tag(takes_context=True)
def language_choices(context: template.Context) -> list[dict[str, Any]]:
    """Return the languages of the page. None if it has only one: developers and administrators read English."""
    request, current = context.get("request"), get_language()
    if request is None or not is_for_users(request.path_info):
        return []
    return [{"code": code, "name": name, "is_current": code == current} for code, name in settings.LANGUAGES]


@register.simple_tag(takes_context=True)
def cannot(context: template.Context, scope: Scope) -> SafeString:
    """Return what the scope does not allow, beside the other scopes of the page, which its view calls `siblings`."""
    siblings = context.get("siblings")
    return cannot_beside(scope, () if siblings is None else siblings)


@register.simple_tag(takes_context=True)
def nav_link(
    context: template.Context, name: str, label: str, *, exact: bool = False, also: str = "", count: str = ""
) -> SafeString:
    """Return a link, marked as current if the page is its target or below it, or below the path `also`.

    `count` follows its text.
    """
    url = _url(context, name)
    current = _current(context, url, exact=exact, also=also)
    badge = format_html(' <span class="count">{}</span>', count) if count else ""
    return format_html('<a class="menu__link" href="{}"{}>{}{}</a>', url, current, label, badge)


@register.simple_tag(takes_context=True)
def entrance_link(context: template.Context, name: str, label: str) -> SafeString:
    """Return a link to sign in or sign up, from where the user goes on to the page that the view calls `wanted`."""
    url, current = with_next(name, context.get("wanted")), _current(context, reverse(name), exact=True)
    return format_html('<a class="menu__link" href="{}"{}>{}</a>', url, current, label)


@register.simple_tag(takes_context=True)
def rail_link(
    context: template.Context, name: str, label: str, picture: str, *, exact: bool = False, also: str = ""
) -> SafeString:
    """Return a link of a rail, with an icon, marked as `nav_link` does."""
    url = reverse(name)
    current = _current(context, url, exact=exact, also=also)
    return format_html('<a class="rail__link" href="{}"{}>{}{}</a>', url, current, icon(picture), label)


@register.simple_tag(takes_context=True)
def tab_link(
    context: template.Context, name: str, subject: str, label: str, *, has_below: bool = False, also: str = ""
) -> SafeString:
    """Return a link to one of the pages about a subject, by its id if it has one, marked as current if it is the page.

    With `has_below`, also if the page is below it, and always if it is below the path `also`.
    """
    url = _url(context, name, *([subject] if subject else []))
    current = _current(context, url, exact=not has_below, also=also)
    return format_html('<a href="{}"{}>{}</a>', url, current, label)


@register.simple_tag(takes_context=True, name="portal_url")
def url_in_portal(context: template.Context, name: str, *args: Any) -> str:
    """Return the URL of a page of the portal, about the organization that this page is about."""
    return portal_url(context["request"].developer.organization_id, name, *args)


@register.filter
def may(member: Developer | None, right: str) -> bool:
    """Return whether the member's role has this right. False on pages that are about no organization."""
    return member is not None and access_of_member(member).may(Right(right))


@register.simple_tag(takes_context=True)
def waiting_approvals(context: template.Context) -> str:
    """Return how many requests wait for the user, or an empty string. Only the user's own pages count them."""
    if context["request"].path.startswith(("/developer", "/admin")):
        return ""
    waiting = count_waiting(context["user"], limit=MAX_COUNTED)
    return f"{MAX_COUNTED - 1}+" if waiting >= MAX_COUNTED else f"{waiting or ''}"


@register.inclusion_tag("components/agent_mark.html")
def agent_mark(
    name: str, agent: Agent | None = None, *, among: Mapping[str, Agent] | None = None, agent_id: str | None = None
) -> dict[str, Any]:
    """Render an agent's name beside its logo or, without one, the mark of its id. Without a name, only the picture.

    The agent is `agent`, or the one with `agent_id`, which can be `among` others or deleted.
    """
    agent = agent or (among or {}).get(agent_id or "")
    of = agent.id if agent else agent_id or ""
    logo = reverse("web:agent-logo", args=[of, agent.logo_digest]) if agent and agent.logo_digest else ""
    return {"name": plain_text(name), "tint": marks.tint(of), "bars": marks.bars(of), "logo": logo}


@register.filter
def widget_kind(field: BoundField) -> str:
    """Return which markup the field needs. Empty for a single input below its label."""
    kinds = [(kind, types) for kind, types in WIDGET_KINDS if isinstance(field.field.widget, types)]
    return kinds[0][0] if kinds else ""


def _url(context: template.Context, name: str, *args: str) -> str:
    """Return the URL of a page. One of the portal is about the organization that this page is about."""
    namespace, _, page = name.partition(":")
    return url_in_portal(context, page, *args) if namespace == "portal" else reverse(name, args=args)


def _current(context: template.Context, url: str, *, exact: bool, also: str = "") -> str:
    """Return the attribute that marks a link to the current page or, unless `exact`, one above it, else nothing."""
    path = context["request"].path
    is_below = (not exact and path.startswith(f"{url.rstrip('/')}/")) or (also and path.startswith(also))
    is_current = path == url or is_below
    return CURRENT if is_current else ""
