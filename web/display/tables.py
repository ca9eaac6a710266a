"""Tables as CSV that spreadsheets can open safely."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Spreadsheets evaluate cells that begin with one of these; in some languages, also with the wide forms. Where a region
# separates by semicolons, or the user chooses tabs, a cell begins within one of ours, and quotes end elsewhere.
FORMULA = re.compile(r"(^|[;\t\r\n\"])([ ]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])")


def csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [_cell(row[name]) for name in columns]


def _cell(value: Any) -> str:
    """Return the value as text that no spreadsheet takes for a formula: services and agents write some of it."""
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    text = " ".join(value) if isinstance(value, list) else str("" if value is None else value)
    return FORMULA.sub(r"\1\2'", text)
