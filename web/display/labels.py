"""Display helpers: risk labels and CSP sources."""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from approvals.summaries import THINGS, more_things
from core.local import listed_html
from core.text import escape_invisible
from resources.catalogue import Scope
from resources.risks import RISK_LEVELS

LABEL_WORDS = {
    "private": _("Reads private data"),
    "untrusted": _("Brings in what others wrote"),
    "outbound": _("Can send data out"),
}

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
MAX_NAMES = 8
MAX_NAME_LENGTH = 40


def risk_level(risk: object) -> int:
    """Return 1 for low to 4 for critical. An unknown risk counts as critical."""
    return RISK_LEVELS.index(str(risk)) + 1 if str(risk) in RISK_LEVELS else len(RISK_LEVELS)


def highest_risk(risks: Iterable[object]) -> str | None:
    """Return the highest of `risks`, or None if there are none."""
    levels = [risk_level(risk) for risk in risks]
    return RISK_LEVELS[max(levels) - 1] if levels else None


def label_words(scope: Scope) -> list[str]:
    """Return words for what the scope does with data."""
    return [str(words) for label, words in LABEL_WORDS.items() if label in scope.labels]


def warnings(scope: Scope) -> list[str]:
    """Return words for what makes a scope dangerous: its labels, and that its effects cannot be undone."""
    lasting = [] if scope.is_reversible else [gettext("Cannot be undone")]
    return lasting + label_words(scope)


def with_fields(names: Iterable[str]) -> SafeString:
    """Return "with a message and account": fields in our own words, or by the names that others chose. "" for none."""
    found = list(names)
    others = '<bdi class="named" translate="no">{}</bdi>'
    shown = [
        str(THINGS[name]) if name in THINGS else format_html(others, field_name(cut(name)))
        for name in found[:MAX_NAMES]
    ]
    more = [more_things(len(found) - MAX_NAMES)] if len(found) > MAX_NAMES else []
    if not found:
        return SafeString("")
    text = conditional_escape(gettext("with %(things)s"))
    return mark_safe(text % {"things": listed_html([*shown, *more])})  # noqa: S308 -- both are escaped


def field_names(names: Iterable[str], words: Mapping[str, str]) -> str:
    """Return field names on one line, in these words or as others chose them. Long names are truncated."""
    listed = list(names)
    shown = [words.get(name) or field_name(cut(name)) for name in listed[:MAX_NAMES]]
    return ", ".join([*shown, *([f"+{len(listed) - MAX_NAMES}"] if len(listed) > MAX_NAMES else [])])


def field_name(name: str) -> str:
    """Return the name of a field as visible text, in quotation marks unless it is a plain word."""
    return name if PLAIN_NAME.fullmatch(name) else escape_invisible(json.dumps(name, ensure_ascii=False))


def cut(name: str) -> str:
    return f"{name[: MAX_NAME_LENGTH - 1]}…" if len(name) > MAX_NAME_LENGTH else name


def csp_source(uri: str) -> str:
    """Return the CSP source that matches `uri`: its origin, or `scheme:` if CSP cannot express the host.

    CSP cannot express private-use schemes with a host, or IPv6 addresses (CSP 3, section 2.3.1).
    """
    parts = urlsplit(uri)
    is_plain = parts.scheme in ("http", "https") and re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", parts.netloc)
    return f"{parts.scheme}://{parts.netloc}" if is_plain else f"{parts.scheme}:"
