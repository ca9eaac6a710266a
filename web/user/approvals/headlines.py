"""Sentences about requests as pages show them: our own words unchanged, other people's set apart and bounded."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals.models import Approval
from approvals.summaries import Kind, Part, RequestSummary, summary_of
from core.formats import money, number
from core.money import Amount
from core.text import escape_invisible

# Longer texts by others are truncated in a sentence. The page shows them in full below.
MAX_PART = 160
MARKS = {
    Kind.TITLE: "<bdi>{}</bdi>",
    Kind.AMOUNT: '<bdi class="money">{}</bdi>',
    Kind.STATED: '<bdi class="named">{}</bdi>',
}


def say(approval: Approval) -> SafeString:
    """Return what the request would do."""
    return say_summary(summary_of(approval))


def say_up_to(approval: Approval, ceiling: Amount | None) -> SafeString:
    """Return what a rule allows, up to the ceiling if it has one. `approval` is its example or its row."""
    if ceiling is None:
        return say(approval)
    return say_summary(summary_of(approval), {"amount": up_to(ceiling)})


def say_rule(approval: Approval, ceiling: Amount | None, per_day: int) -> SafeString:
    """Return what a rule allows, and how often. `approval` is its example or its row."""
    parts = {"summary": say_up_to(approval, ceiling), "often": at_most(per_day)}
    return mark_safe(escape(_("%(summary)s, %(often)s")) % parts)  # noqa: S308 -- all parts are escaped


def at_most(per_day: int) -> SafeString:
    """Return "at most 3 times a day"."""
    words = ngettext("at most once a day", "at most %(times)s times a day", per_day)
    return escape(words % {"times": number(per_day)})


def up_to(ceiling: Amount) -> SafeString:
    """Return "up to 20 €"."""
    words = escape(_("up to %(amount)s")) % {"amount": _show(Part(Kind.AMOUNT, ceiling))}
    return mark_safe(words)  # noqa: S308 -- both parts are escaped


def stated(value: Any) -> str:
    """Return a value that others sent, as visible text."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value) and value:
        return ", ".join(map(escape_invisible, value))
    return escape_invisible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def say_summary(summary: RequestSummary, instead: Mapping[str, SafeString] = MappingProxyType({})) -> SafeString:
    """Return the sentence, with these parts replaced."""
    shown = {name: instead.get(name) or _show(part) for name, part in summary.parts.items()}
    return mark_safe(escape(summary.template) % shown)  # noqa: S308 -- all parts are escaped


def say_plainly(summary: RequestSummary) -> str:
    """Return the sentence as plain text."""
    return summary.template % {name: _text_of(part) for name, part in summary.parts.items()}


def _show(part: Part) -> SafeString:
    text = _text_of(part)
    return escape(text) if part.kind is Kind.OWN else format_html(MARKS[part.kind], text)


def _text_of(part: Part) -> str:
    if part.kind is Kind.AMOUNT:
        return money(part.value._asdict())
    if part.kind is not Kind.STATED:
        return str(part.value)
    text = stated(part.value)
    return f"{text[: MAX_PART - 1]}…" if len(text) > MAX_PART else text
