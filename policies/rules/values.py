"""Reading a call's values for comparison: what cannot be read exactly is unreadable, and an unreadable value denies."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from core.text import BLANK

DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
# The largest whole number that a double holds exactly. JSON readers may have rounded larger ones.
MAX_EXACT = 2**53 - 1
# Between the items of a list in one string, with the forms of East Asian keyboards.
SEPARATORS = " ,;\uff0c\uff1b\u3001"
# A path segment that leads upwards, as text or percent-encoded. The path also ends where its query, its fragment or its
# parameters start, and for some services at a control character.
UPWARDS = re.compile(
    r"(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:$|[/\\?#;]|%2f|%5c|%3f|%23|%3b|%20|%[01][0-9a-f]|%7f)", re.IGNORECASE
)
# A percent sign that is encoded itself: services differ in how often they decode.
ENCODED_TWICE = re.compile(r"%25[0-9a-f]{2}", re.IGNORECASE)


class Missing:
    """Stands for a value that the call does not have, or that is null."""


class Nothing:
    """Stands for an empty list: a field that is there, but has no element to compare."""


MISSING: Final = Missing()
NOTHING: Final = Nothing()


def leaves(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield each value at the path. A list is replaced by its elements, wherever it is in the path.

    Yields `MISSING` for each element without the field, and `NOTHING` for an empty list at the end of the path.
    """
    if isinstance(value, list | tuple):
        if not value:
            yield MISSING if path else NOTHING
        for element in value:
            yield from leaves(element, path)
    elif not path:
        yield MISSING if value is None else value
    elif isinstance(value, dict):
        yield from leaves(value.get(path[0]), path[1:])
    else:
        yield MISSING


def read_number(value: Any) -> Decimal | None:
    """Return a whole number, or a decimal number as text, exactly. None otherwise: JSON's fractions are floats."""
    if type(value) is str:
        return Decimal(value) if DECIMAL.fullmatch(value) else None
    if type(value) is float and value.is_integer():  # 1e3 and 1000.0 are the same number as 1000
        value = int(value)
    return Decimal(value) if type(value) is int and abs(value) <= MAX_EXACT else None


def read_text(value: Any) -> str | None:
    """Return text without control or invisible characters, and without spaces around it. None for anything else.

    Services treat such characters differently: some end the text there, and some remove them.
    """
    if type(value) is not str or not value.isprintable() or value != value.strip():
        return None
    return value if value.isascii() or not BLANK.search(value) else None


def is_unambiguous(text: str, pattern: str) -> bool:
    """Return whether the text is one item, as far as the pattern expects one, and its ends mean what they say.

    "x@evil.com, y@acme.com" ends with "@acme.com" and is two addresses, and "acme/../evil" starts with "acme/". So the
    text must not have a separator, a ".." segment or a character that is encoded twice if the pattern does not, nor
    more at signs than a pattern that has any.
    """
    if any(separator in text and separator not in pattern for separator in SEPARATORS):
        return False
    if "@" in pattern and text.count("@") > pattern.count("@"):
        return False
    forms = {text, unicodedata.normalize("NFKC", text)}  # as some services read full-width characters
    if "%25" not in pattern and any(map(ENCODED_TWICE.search, forms)):
        return False
    return ".." in pattern or not any(map(UPWARDS.search, forms))


def folded(text: str) -> str:
    """Return the text without differences of case and of Unicode form, for comparisons that must not be evaded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
