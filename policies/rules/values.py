"""Reading a call's values for comparison: what cannot be read exactly is unreadable, and an unreadable value denies."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from core.text import BLANK

DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
# The largest whole number that a double holds exactly. JSON readers may have rounded larger ones.
MAX_EXACT = 2**53 - 1


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
