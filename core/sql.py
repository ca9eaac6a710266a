"""SQL of our own, for what runs often.

Django needs up to a millisecond of CPU to write the SQL of a query that joins five tables, and PostgreSQL half of that
to plan it. Here the SQL is written once, PostgreSQL keeps the plan, and the rows are still models.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, cached_property, partial
from itertools import islice
from operator import attrgetter
from select import select
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.base import ModelState
from psycopg import Cursor

from core.fields import ExactCharField
from core.ids import PrefixedIdField

# How often a connection has run a statement before PostgreSQL prepares it.
PREPARE_AFTER = 3
# How long a connection that was used needs no check.
FRESH_SECONDS = 1.0
# Fields whose values the drivers take as they are. Subclasses may not be.
PLAIN = {models.CharField, ExactCharField, PrefixedIdField, models.TextField, models.ForeignKey, models.DateTimeField}


class Columns[Row: models.Model]:
    """Columns of one table of a statement, and the model that they make.

    Without names, they are all columns. Danger: each field that is left out is read by a query when it is used.
    """

    def __init__(self, model: type[Row], alias: str, *names: str) -> None:
        self._model = model
        self._alias = alias
        self._fields = [field for field in model._meta.concrete_fields if not names or field.attname in names]
        self._names = [field.attname for field in self._fields]
        self._key = next(place for place, field in enumerate(self._fields) if field.primary_key)
        self.sql = ", ".join(f"{alias}.{field.column}" for field in self._fields)

    def make(self, values: Iterator[Any]) -> Row | None:
        """Take the values of these columns from those of a row. Return None if an outer join found no row."""
        taken = list(islice(values, len(self._names)))
        if taken[self._key] is None:
            return None
        database = connections[DEFAULT_DB_ALIAS]
        for place, convert, column in self._converters:
            taken[place] = convert(taken[place], column, database)
        return self._model_with(taken)

    def _model_with(self, values: Sequence[Any]) -> Row:
        """Do what `from_db` does, without signals and a call for each field, which take most of its time."""
        made = self._model.__new__(self._model)
        made._state = ModelState()
        made._state.adding, made._state.db = False, DEFAULT_DB_ALIAS
        made.__dict__.update(zip(self._names, values, strict=True))
        return made

    @cached_property
    def _converters(self) -> list[tuple[int, Callable[..., Any], Any]]:
        """What makes the fields' values of what the database gives, as Django does."""
        columns = enumerate(field.get_col(self._alias) for field in self._fields)
        return [(place, convert, column) for place, column in columns for convert in _converters_of(column)]


def fetch_one(sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Return the first row that the statement gives, or None."""
    with _executed(sql, parameters) as cursor:
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def execute(sql: str, parameters: Sequence[Any] = ()) -> int:
    """Run the statement and return how many rows it has written."""
    with _executed(sql, parameters) as cursor:
        return int(cursor.rowcount)


def insert(*rows: models.Model) -> None:
    """Insert rows that have their primary keys, without signals. On PostgreSQL it is one statement."""
    values = [_values_of(row) for row in rows]
    if connection.vendor == "postgresql":
        execute(_joined_inserts(tuple(type(row) for row in rows)), [value for each in values for value in each])
    else:
        for row, each in zip(rows, values, strict=True):
            execute(_insert_into(type(row)), each)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


@contextmanager
def pipelined() -> Iterator[None]:
    """Send PostgreSQL the statements of the block without waiting for each.

    Wait at its end and where it reads a row. An error of any statement is raised there.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        yield
        return
    database.ensure_connection()
    with database.wrap_database_errors, database.connection.pipeline():
        yield


def _executed(sql: str, parameters: Sequence[Any]) -> Any:
    """Return a cursor that has run the statement. PostgreSQL prepares one that has run a few times."""
    database = connections[DEFAULT_DB_ALIAS]
    adapt = database.ops.adapt_datetimefield_value
    adapted = [adapt(value) if isinstance(value, datetime) else value for value in parameters]
    cursor = _prepared_cursor(database) if database.vendor == "postgresql" else database.cursor()
    cursor.execute(sql, adapted)
    return cursor


def _prepared_cursor(database: Any) -> Any:
    """Return a cursor that binds on the server, with Django's errors and its log of queries."""
    if not database.in_atomic_block:
        _check(database)
    database.ensure_connection()
    database.connection.prepare_threshold = (
        PREPARE_AFTER  # Django's own cursors bind in the client, and prepare nothing
    )
    return database._prepare_cursor(Cursor(database.connection))


def _check(database: Any) -> None:
    """Let Django check the connection as it does once per request, unless it was used a moment ago and is quiet."""
    raw, now = database.connection, time.monotonic()
    if raw is not None and not raw.closed and now < getattr(raw, "used_until", 0) and not select([raw], [], [], 0)[0]:
        database.health_check_done = True
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.connection.used_until = now + FRESH_SECONDS


def _converters_of(column: Any) -> list[Callable[..., Any]]:
    database = connections[DEFAULT_DB_ALIAS]
    return [*database.ops.get_db_converters(column), *column.get_db_converters(database)]


def _values_of(row: models.Model) -> list[Any]:
    return [read(row) for read in _readers_of(type(row))]


@cache
def _readers_of(model: type[models.Model]) -> list[Callable[[models.Model], Any]]:
    """Return functions that give the database's values of the fields."""
    return [
        attrgetter(field.attname)
        if type(field) in PLAIN and not getattr(field, "auto_now_add", False)
        else partial(_prepared_value, field)
        for field in model._meta.concrete_fields
    ]


def _prepared_value(field: Any, row: models.Model) -> Any:
    return field.get_db_prep_save(field.pre_save(row, add=True), connections[DEFAULT_DB_ALIAS])


@cache
def _insert_into(model: type[models.Model]) -> str:
    fields = model._meta.concrete_fields
    columns, places = ", ".join(field.column for field in fields), ", ".join("%s" for _ in fields)
    return f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places})"  # noqa: S608


@cache
def _joined_inserts(tables: tuple[type[models.Model], ...]) -> str:
    *first, last = (_insert_into(model) for model in tables)
    named = ", ".join(f"row_{place} AS ({statement})" for place, statement in enumerate(first))
    return f"WITH {named} {last}" if first else last
