"""Text from strangers, made safe to show: names, descriptions, reasons, the words of scopes.

Invisible characters let one name pass for another, turn the direction of reading, or carry a hidden message.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from django.db import models

# Characters of other categories that paint nothing: Default_Ignorable_Code_Point (UAX 44), and the blank of Braille.
BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0000-\U000e0fff]"
)
# Stacked marks paint over the lines around them; no written language needs more than four on one letter.
MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
MAX_ECHO = 100
STACK = re.compile(f"({MARK}{{4}}){MARK}+")


def plain_text(text: object) -> str:
    """Return `text` in one line, without characters that a reader cannot see.

    Left out are control, bidi, zero-width, tag and private-use characters, variation selectors, surrogates and
    unassigned code points. Emoji that are joined from several fall apart into those.
    """
    raw = " ".join(str(text or "").split())
    if raw.isascii() and raw.isprintable():
        return raw
    visible = BLANK.sub("", "".join(c for c in raw if unicodedata.category(c)[0] != "C"))
    return " ".join(STACK.sub(r"\1", visible).split())


def escape_invisible(line: str) -> str:
    """Return `line` with each character that `plain_text` leaves out written as an escape of JSON."""
    return "".join(c if c == " " or plain_text(c) else json.dumps(c)[1:-1] for c in line)


def echo(text: object) -> str:
    """Return what a caller sent, short and in visible ASCII, for a message that repeats it."""
    return escape_invisible(str(text)[:MAX_ECHO]).encode("ascii", "backslashreplace").decode()


def nearest(text: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like `text`, for "Did you mean ...?". None when none is like it."""
    return next(iter(get_close_matches(text[:MAX_ECHO], sorted(known), n=1)), None)


class PlainTextField(models.CharField):  # type: ignore[type-arg]  # generic only in the stubs
    """A `CharField` that holds only what `plain_text` leaves, whatever writes to it.

    It cleans again when it reads, so that a row written past the models is safe to show, too.
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
        """Return the field as a `CharField`: the database sees no difference."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", list(args), kwargs


def _cleaned(value: Any) -> Any:
    """Return a text cleaned and anything else, such as an expression of the database, as it is."""
    return plain_text(value) if isinstance(value, str) else value
