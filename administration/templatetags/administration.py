"""Tags for the templates of the admin site."""

import re
from collections.abc import Iterator
from itertools import batched
from typing import Any

from django import template
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import PAGE_VAR
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from administration.areas import may_read, noun_of
from administration.links import named, row_url, url_id
from administration.log_lines import log_lines
from administration.log_list import entry_of
from administration.log_sentence import ACTORS
from administration.risk import AgentRisk, risk_of
from administration.rows import NOTHING, cell, label_of, link, status_pill
from audit.entries.journal import LOG_ID
from audit.models import Entry
from core.formats import ago, relative
from core.text import plain_text

register = template.Library()
register.filter(url_id)
register.filter(status_pill)
register.filter(relative)
register.simple_tag(link, name="row_link")

ENTRY_ID = re.compile(rf"\b({LOG_ID.pattern})\b")


@register.filter
def plural_noun(opts: Any) -> str:
    return str(noun_of(opts.model).plural)


@register.filter
def singular_noun(opts: Any) -> str:
    return str(noun_of(opts.model).singular)


@register.simple_tag
def with_entries(request: HttpRequest, line: str) -> SafeString:
    """Return the line with links from the ids of log entries to their pages, if the administrator may read those."""
    if not may_read(request, Entry):
        return format_html("{}", line)
    *found, rest = ENTRY_ID.split(line)
    links = ((text, row_url(Entry, pk), pk) for text, pk in batched(found, 2))
    return format_html("{}{}", format_html_join("", '{}<a href="{}"><code>{}</code></a>', links), rest)


@register.filter
def row_title(row: Any) -> SafeString:
    """Return what the page of a row is titled with."""
    text = getattr(row, "name", "") or getattr(row, "email", "") or getattr(row, "event", "")
    return named(text) if text else format_html("<code>{}</code>", plain_text(row))


@register.simple_tag
def list_rows(request: HttpRequest, page: Any, rows: Any, columns: Any = None) -> list[dict[str, Any]]:
    """Return the rows of a list. The first cell is the row's heading, and links to its page."""
    names = [name for name in columns or page.list_display if name != "action_checkbox"]
    rows = [*rows]
    page.prepare(rows)
    return [
        {"pk": row.pk, "url": row_url(type(row), row.pk), "cells": _cells(request, page, row, names)} for row in rows
    ]


@register.simple_tag
def list_labels(page: Any, columns: Any = None) -> list[str]:
    return [label_of(page, name) for name in columns or page.list_display if name != "action_checkbox"]


@register.simple_tag
def facts(request: HttpRequest, page: Any, adminform: Any) -> list[dict[str, Any]]:
    """Return the groups of fields of a row, each with the values that are not empty."""
    row = adminform.form.instance
    return [
        {"name": one.name, "facts": list(_facts(request, page, row, one.fields)), "is_folded": one.is_collapsible}
        for one in adminform
    ]


@register.filter
def filter_title(spec: Any) -> str:
    """Return the title of a filter of a list."""
    field = getattr(spec, "field", None)
    return label_of(None, field.name) if field is not None else str(spec.title)


@register.simple_tag
def filter_choices(spec: Any, changelist: Any) -> dict[str, Any]:
    """Return the choices of a filter, the selected one, and whether that is another than the first: all rows."""
    choices = [{**choice, "display": _(str(choice["display"]))} for choice in spec.choices(changelist)]
    selected = next((one for one in choices if one["selected"]), choices[0])
    return {"choices": choices, "selected": selected, "is_set": selected is not choices[0]}


@register.simple_tag
def pages_of(changelist: Any) -> dict[str, Any]:
    """Return the links to the pages beside the current one."""
    number, last = changelist.page_num, changelist.paginator.num_pages
    return {
        "number": number,
        "last": last,
        "newer": changelist.get_query_string({PAGE_VAR: number - 1}) if number > 1 else "",
        "older": changelist.get_query_string({PAGE_VAR: number + 1}) if number < last else "",
    }


@register.simple_tag
def rows_in_words(changelist: Any) -> str:
    """Return how many rows the list has: "5 agents", "1 API session"."""
    noun, number = noun_of(changelist.model), changelist.paginator
    return f"{number.count_in_words} {_within(str(noun.singular if number.found == 1 else noun.plural))}"


@register.simple_tag
def current_area(areas: Any) -> str:
    """Return the name of the area whose pages are open, or what the menu has."""
    return next((str(area["name"]) for area in areas if area["is_current"]), _("Areas"))


@register.simple_tag
def empty_sections(sections: Any) -> str:
    """Return which sections have no rows: "No approvals or API sessions." Empty if there are none."""
    names = [_within(str(section.heading)) for section in sections if not section.rows]
    return _("No %(names)s.") % {"names": get_text_list(names, _("or"))} if names else ""


@register.simple_tag
def agent_risk(request: HttpRequest, agent: Any, figures: Any) -> AgentRisk:
    return risk_of(agent, figures, reads_log=may_read(request, Entry))


@register.filter
def actor_kind(kind: str) -> str:
    return str(ACTORS.get(kind, kind))


@register.simple_tag
def shown_entries(request: HttpRequest, rows: Any) -> list[Any]:
    """Return the lines of the entries that a page of the log has found."""
    return log_lines(request, [entry_of(row) for row in rows])


@register.simple_tag
def checkbox_name() -> str:
    return ACTION_CHECKBOX_NAME


def _within(words: str) -> str:
    """Return a heading as it stands within a sentence: "agents", "API sessions"."""
    return words if words[1].isupper() else words[0].lower() + words[1:]


def _cells(request: HttpRequest, page: Any, row: Any, names: list[str]) -> list[dict[str, Any]]:
    return [{"label": label_of(page, name), "value": cell(request, page, row, name, ago)} for name in names]


def _facts(request: HttpRequest, page: Any, row: Any, names: Any) -> Iterator[dict[str, Any]]:
    for name in names:
        value = cell(request, page, row, name)
        if value is not NOTHING:
            yield {"label": label_of(page, name), "value": value}
