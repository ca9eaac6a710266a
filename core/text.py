"""Make untrusted text safe to display: names, descriptions, reasons and the texts of scopes.

Invisible characters can make one name look like another, reverse the reading direction or carry a hidden message.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.db import models

# Invisible characters of other categories: Default_Ignorable_Code_Point (UAX 44) and the Braille blank.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0000-\U000e0fff]"
)
# Stacked marks cover the lines around them. No written language needs more than four on one letter.
MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
MAX_ECHO = 100
STACK = re.compile(f"({MARK}{{4}}){MARK}+")


def plain_text(text: object) -> str:
    """Return `text` in one line, without invisible characters. Of None, return an empty string.

    Removes control, bidi, zero-width, tag and private-use characters, variation selectors, surrogates and unassigned
    code points. Joined emoji are split into their parts.
    """
    raw = " ".join(("" if text is None else str(text)).split())
    if raw.isascii() and raw.isprintable():
        return raw
    visible = BLANK.sub("", "".join(c for c in raw if unicodedata.category(c)[0] != "C"))
    return " ".join(STACK.sub(r"\1", visible).split())


def escape_invisible(line: str) -> str:
    """Return `line` with each character that `plain_text` removes written as a JSON escape."""
    if line.isascii() and line.isprintable():
        return line
    # Each character is looked at once, because lines of megabytes have few different ones.
    escaped = {ord(c): json.dumps(c)[1:-1] for c in set(line) if c != " " and not plain_text(c)}
    return line.translate(escaped) if escaped else line


def readable_json(value: Any) -> str:
    """Return indented JSON. Invisible characters are escaped rather than removed, so that evidence stays complete."""
    written = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    # Not `splitlines`, which ends a line at U+2028, too, and removes it.
    return "\n".join(map(escape_invisible, written.split("\n")))


def echo(text: object) -> str:
    """Return what a caller sent, shortened and in visible ASCII, for use in an error message."""
    return escape_invisible(str(text)[:MAX_ECHO]).encode("ascii", "backslashreplace").decode()


def nearest(text: str, known: Iterable[str]) -> str | None:
    """Return the known word most similar to `text`, for "Did you mean ...?", or None if none is similar."""
    return next(iter(get_close_matches(text[:MAX_ECHO], sorted(known), n=1)), None)


class PlainTextField(models.CharField):  # type: ignore[type-arg]  # generic only in the stubs
    """A `CharField` whose values are cleaned with `plain_text` on every write.

    Values are cleaned on read as well, so that rows written without the models are safe to display.
    """

    def to_python(self, value: Any) -> Any:
        return _cleaned(super().to_python(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        cleaned = _cleaned(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, cleaned)
        return cleaned

    def get_prep_value(self, value: Any) -> Any:
        return _cleaned(super().get_prep_value(value))

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        return None if value is None else plain_text(value)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """Return the field as a `CharField`, because the database column is the same."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", list(args), kwargs


def _cleaned(value: Any) -> Any:
    """Return strings cleaned, and anything else, such as a database expression, unchanged."""
    return plain_text(value) if isinstance(value, str) else value
