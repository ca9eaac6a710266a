"""A call's values as conditions read them: once per call, at the expense of its budget.

A hundred rules may ask for the same value, and to normalize a text of 16 KiB takes up to 10 ms, or 0.2 s in releases of
Python that sort combining characters in quadratic time. So what was read is kept, and each cost is estimated first.
"""

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

from policies.rules.budget import Budget
from policies.rules.values import read_number, read_text

# Between the items of a list in one string, with the forms of East Asian keyboards.
SEPARATORS = " ,;\uff0c\uff1b\u3001"
# A path segment that leads upwards, as text or percent-encoded. The path also ends where its query, its fragment or its
# parameters start, and for some services at a control character.
UPWARDS = re.compile(
    r"(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:$|[/\\?#;]|%2f|%5c|%3f|%23|%3b|%20|%[01][0-9a-f]|%7f)", re.IGNORECASE
)
AT_SIGN = re.compile("@|%40")
# A percent sign that is encoded itself: services differ in how often they decode.
ENCODED_TWICE = re.compile(r"%25[0-9a-f]{2}", re.IGNORECASE)

# What a character costs in units of the budget: to read, to weigh, to normalize, to search, and to sort past another.
READ, WEIGH, NORMALIZE, SEARCH, SORT = 10, 100, 100, 40, 5


class Unread:
    """Stands for what no condition has asked for yet."""


UNREAD: Final = Unread()


class Shape(NamedTuple):
    """What keeps a text from being one item whose ends mean what they say. `separators` are those that it has."""

    separators: str
    at_signs: int
    is_encoded_twice: bool
    leads_upwards: bool

    @classmethod
    def of(cls, text: str, normalized: str) -> "Shape":
        """Return the shape of a text. `normalized` is how services read it that normalize full-width characters."""
        forms = (text,) if text == normalized else (text, normalized)
        return cls(
            "".join([each for each in SEPARATORS if any(each in form for form in forms)]),
            max(map(_count_at_signs, forms)),
            any(map(ENCODED_TWICE.search, forms)),
            any(map(UPWARDS.search, forms)),
        )

    def suits(self, pattern: str) -> bool:
        """Return whether the text is one item where the pattern expects one, and its ends mean what they say.

        "x@evil.com, y@acme.com" ends with "@acme.com" and is two addresses, and "acme/../evil" starts with "acme/". So
        the text must not have a separator, a ".." segment or a character that is encoded twice if the pattern does not,
        nor more at signs than a pattern that has any.
        """
        forms = pattern if pattern.isascii() else f"{pattern} {unicodedata.normalize('NFKC', pattern)}"
        if self.separators and any(separator not in forms for separator in self.separators):
            return False
        expected = _count_at_signs(pattern)
        if expected and self.at_signs > expected:
            return False
        if self.is_encoded_twice and "%25" not in pattern:
            return False
        return not self.leads_upwards or ".." in pattern


def _count_at_signs(text: str) -> int:
    return len(AT_SIGN.findall(text))


class Reading:
    """One value of a call. A method returns None, which denies, also for what does not fit into the budget."""

    __slots__ = ("_folded", "_normalized", "_number", "_shape", "_text", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._number: Decimal | Unread | None = UNREAD
        self._text: str | Unread | None = UNREAD
        self._normalized: str | Unread | None = UNREAD
        self._folded: str | Unread | None = UNREAD
        self._shape: Shape | Unread | None = UNREAD

    def number(self) -> Decimal | None:
        """Return the value as a number, or None if it is not one."""
        if isinstance(self._number, Unread):
            self._number = read_number(self.value)
        return self._number

    def text(self, budget: Budget) -> str | None:
        """Return the value as text, or None if it is not readable text."""
        if isinstance(self._text, Unread):
            is_affordable = type(self.value) is str and budget.spend(READ * len(self.value))
            self._text = read_text(self.value) if is_affordable else None
        return self._text

    def folded(self, budget: Budget) -> str | None:
        """Return the text as the function `folded` does, or None."""
        if isinstance(self._folded, Unread):
            normalized = self._normalize(budget)
            self._folded = None if normalized is None else _fold(normalized)
        return self._folded

    def shape(self, budget: Budget) -> Shape | None:
        """Return the shape of the text, or None."""
        if isinstance(self._shape, Unread):
            self._shape = self._find_shape(budget)
        return self._shape

    def _find_shape(self, budget: Budget) -> Shape | None:
        text, normalized = self.text(budget), self._normalize(budget)
        if text is None or normalized is None or not budget.spend(SEARCH * (len(text) + len(normalized))):
            return None
        return Shape.of(text, normalized)

    def _normalize(self, budget: Budget) -> str | None:
        if isinstance(self._normalized, Unread):
            text = self.text(budget)
            self._normalized = text if text is None or text.isascii() else _normalize(text, budget)
        return self._normalized


def shape_of(text: str) -> Shape:
    """Return the shape of a text without regard to any budget: for short texts."""
    return Shape.of(text, unicodedata.normalize("NFKC", text))


def folded(text: str) -> str:
    """Return the text without differences of case and of Unicode form, for comparisons that must not be evaded."""
    return _fold(unicodedata.normalize("NFKC", text))


def _fold(normalized: str) -> str:
    return unicodedata.normalize("NFKC", normalized.casefold())


def _normalize(text: str, budget: Budget) -> str | None:
    """Return the text in the form NFKC, or None if the budget does not have what that costs."""
    if not budget.spend(NORMALIZE * len(text)):
        return None
    if unicodedata.is_normalized("NFKC", text):  # costs little: one pass, or a normalization that changes nothing
        return text
    characters = set(text)
    if not budget.spend(WEIGH * (len(text) + 4 * len(characters))):
        return None
    parts = {each: unicodedata.normalize("NFKD", each) for each in characters}
    return unicodedata.normalize("NFKC", text) if budget.spend(_work(text, parts)) else None


def _work(text: str, parts: Mapping[str, str]) -> int:
    """Return what it costs to normalize a text. `parts` are what its characters decompose into: up to 18 each."""
    length = sum([len(parts[each]) for each in text])
    marks = {each for each, part in parts.items() if unicodedata.combining(part[0])}
    runs = [sum(1 for _ in run) for is_mark, run in groupby(text, marks.__contains__) if is_mark] if marks else []
    return length * (NORMALIZE + SORT * max(runs, default=0))
