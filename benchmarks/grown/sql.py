"""Insert many rows by SQL, on PostgreSQL: each column is an expression of the row's number `n`."""

import time
from typing import Any

from django.db import connection
from django.db.models import AutoField, Model
from django.utils import timezone

SPAN_MS = 90 * 86_400_000
FIRST_MS = int(time.time() * 1000) - SPAN_MS


def numbers(count: int) -> str:
    """Return a source of the numbers from 0 to `count` - 1."""
    return f"generate_series(0, {count} - 1) AS n"


def moment(number: str, count: int) -> str:
    """Return when the row with this number, of `count`, was made: rows are spread over the last 90 days."""
    return f"to_timestamp({_milliseconds(number, count)} / 1000.0)"


def ident(prefix: str, number: str, count: int, digits: int = 20) -> str:
    """Return the id of this row, with so many digits after the time, as `core.ids` makes them."""
    when = f"lpad(to_hex({_milliseconds(number, count)}), 12, '0')"
    return f"('{prefix}_' || {when} || left(md5('{prefix}' || ({number})), {digits}))"


def digest(name: str) -> str:
    """Return 64 hexadecimal digits."""
    return f"(md5('{name}' || n) || md5(n || '{name}'))"


def text(value: str) -> str:
    """Return the value as a literal. A percent sign would be a parameter."""
    return "'" + value.replace("'", "''").replace("%", "%%") + "'"


def fill(model: type[Model], source: str, **columns: str) -> None:
    """Insert a row for each one of `source`. `columns` are its expressions; the other columns get their defaults."""
    names, values, parameters = [], [], []
    for field in model._meta.concrete_fields:
        if not field.column or isinstance(field, AutoField):  # a composite key has no column
            continue
        names.append(f'"{field.column}"')
        if field.attname in columns:
            values.append(columns.pop(field.attname))
        else:
            values.append("%s")
            parameters.append(_default(field))
    if columns:
        raise ValueError(f"{model.__name__} has no {', '.join(columns)}")
    statement = f'INSERT INTO "{model._meta.db_table}" ({", ".join(names)}) SELECT {", ".join(values)} FROM {source}'
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _milliseconds(number: str, count: int) -> str:
    return f"({FIRST_MS} + ({number})::bigint * {SPAN_MS} / {count})"


def _default(field: Any) -> Any:
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return timezone.now()
    return field.get_db_prep_save(field.get_default(), connection)
