"""The texts of emails, each as plain text and as HTML.

Mail programs turn what looks like an address into a link, in plain text and in HTML. What others chose, such as an
agent's name, must not become one. So each dot, slash, colon and at sign in it has an invisible word joiner (U+2060) on
both sides: "bob@example.com" reads as before, but no program finds an address or a host in it, because neither can
have that character. Markup between the letters would not do: Apple Mail looks across elements.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Self

from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language_bidi

from core.text import plain_text

MAX_NAME = 60
# A name of this length fits into a line of a phone, also in a heading.
MAX_WHOLE = 16
LINKABLE = re.compile(r"([./@:])(?=\S)")
JOINED = "\u2060\\1\u2060"
# Keep the direction of a name apart from that of the sentence (UAX 9).
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
RIGHT_TO_LEFT = {"R", "AL"}


class Words(str):
    """A text with values in it. The string is the plain text, and `__html__` escapes all but the values' markup."""

    html: SafeString

    def __new__(cls, template: str, /, **values: Any) -> Self:
        made = super().__new__(cls, template % values if values else template)
        made.html = SafeString(_fill(template, values))
        return made

    def __html__(self) -> SafeString:
        return self.html


class Code(str):
    """A code that the reader compares with another, set apart as on pages."""

    def __html__(self) -> SafeString:
        style = "padding:2px 8px;background:#f2f0ea;border-radius:6px;font-weight:600;letter-spacing:2px"
        return format_html('<code class="sunken" dir="ltr" style="{}">{}</code>', style, str(self))


class Foreign(str):
    """A text that others chose: short, in bold and never a link. A very short one stays on one line."""

    def __new__(cls, text: object, /, most: int = MAX_NAME) -> Self:
        return super().__new__(cls, _isolated(LINKABLE.sub(JOINED, plain_text(text)[:most])))

    def __html__(self) -> SafeString:
        line = ";white-space:nowrap" if len(self) <= MAX_WHOLE else ""
        return SafeString(f'<span style="font-weight:600{line}">{escape(str(self))}</span>')


def _fill(template: str, values: Mapping[str, Any]) -> str:
    escaped = escape(template)
    return escaped % {name: conditional_escape(value) for name, value in values.items()} if values else escaped


def _isolated(text: str) -> str:
    """Return the text between invisible isolates if it could be of another direction than the email."""
    if text and (get_language_bidi() or any(unicodedata.bidirectional(c) in RIGHT_TO_LEFT for c in text)):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text
