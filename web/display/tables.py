"""Tables as CSV that spreadsheets can open safely."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Spreadsheets evaluate cells that begin with one of these characters and, in some languages, with their full-width
# forms. Where the separator is a semicolon or a tab, a cell can begin inside one of ours, and quotes end elsewhere.
FORMULA = re.compile(r"(^|[;\t\r\n\"])([ ]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")


def csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [_cell(row[name]) for name in columns]


def _cell(value: Any) -> str:
    """Return the value as text that spreadsheets do not evaluate. Services and agents write some of it."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    text = " ".join(value) if isinstance(value, list) else str("" if value is None else value)
    return FORMULA.sub(r"\1\2'", text)
