"""A language for tests, in which each translated text is accented, bracketed and 40 % longer: "⟦Šîĝñ îñ~~~⟧"."""

import re
from collections.abc import Callable
from math import ceil

import pytest
from django.utils import translation

from core import local

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ACCENTED = "åƀçđéƒĝĥîĵķļɱñöþɋŕšţûṽŵẋýžÅƁÇĐÉƑĜĤÎĴĶĻⱮÑÖÞɊŔŠŢÛṼŴẊÝŽ"
LONGER = 0.4
LONGEST_FILLING = 6
ACCENTS = str.maketrans(LETTERS, ACCENTED)
# Placeholders in either style, HTML tags and entities.
KEPT = re.compile(r"(%\(\w+\)[-#0-9.]*\w|%[sd%]|\{[^{}]*\}|<[^>]*>|&#?\w+;)")


def accent(text: str) -> str:
    """Return the text in the language of the tests. A text without letters stays the same."""
    parts = KEPT.split(text)
    letters = sum(part.count(letter) for part in parts[::2] for letter in LETTERS)
    if not letters:
        return text
    accented = "".join(part if number % 2 else part.translate(ACCENTS) for number, part in enumerate(parts))
    return f"⟦{accented}{filling(ceil(letters * LONGER))}⟧"


def filling(length: int) -> str:
    """Return tildes, with spaces where a line may break."""
    return " ".join("~" * min(LONGEST_FILLING, length - done) for done in range(0, length, LONGEST_FILLING))


def speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Django translate all texts into the language of the tests, in all threads."""

    def plural(function: Callable[..., str]) -> Callable[..., str]:
        return lambda *texts: accent(function(*texts))

    for name in ("gettext", "pgettext", "ngettext", "npgettext"):
        monkeypatch.setattr(translation._trans, name, plural(getattr(translation._trans, name)))
    monkeypatch.setattr(local, "format_list", lambda items, **_: f" {accent('and')} ".join(items))
