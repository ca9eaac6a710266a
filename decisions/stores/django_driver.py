"""Decisions on Django's own connection, for pages, management commands and tests. The event loop has faster stores."""

import re
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from core.locks import writing
from decisions.conversation import Conversation, converse
from decisions.questions import Question
from decisions.requests import Decision
from decisions.stores import postgresql_sql, sqlite_sql, sqlite_values
from decisions.stores.statements import Kind, Statement, Step, Trip

# Django's cursors send untyped parameters, which `unnest` cannot take.
CASTS = {Kind.TEXTS: "text[]", Kind.INTS: "bigint[]", Kind.BYTESS: "bytea[]", Kind.TIMES: "timestamptz[]"}


class _RolledBack(Exception):
    """The conversation has rolled back the transaction."""


def decide(questions: Sequence[Question]) -> list[Decision]:
    """Return the decisions in order. In a transaction, they are final when that commits."""
    conversation = converse(questions, is_serial=_is_sqlite())
    trip = next(conversation)
    while True:
        if trip.before:
            with transaction.atomic():
                _run(trip.before)
        try:
            with writing(), transaction.atomic():
                rows = _talk(conversation, trip)
        except _RolledBack:
            trip = conversation.send([])
            continue
        return _end(conversation, rows)


def _talk(conversation: Conversation, trip: Trip) -> Sequence[Any]:
    """Run trips until the one that commits, and return its rows. Raises `_RolledBack`."""
    while True:
        rows = _run(trip.steps)
        if trip.commits:
            return rows
        trip = conversation.send(rows)
        if trip.rolls_back:
            raise _RolledBack


def _end(conversation: Conversation, rows: Sequence[Any]) -> list[Decision]:
    """Return the decisions, now that they are committed."""
    try:
        conversation.send(rows)
    except StopIteration as end:
        decisions: list[Decision] = end.value
        return decisions
    raise RuntimeError("A conversation must end with a commit.")


def _run(steps: Sequence[Step]) -> list[Sequence[Any]]:
    execute = _execute_on_sqlite if _is_sqlite() else _execute_on_postgresql
    return [execute(step) for step in steps]


def _execute_on_sqlite(step: Step) -> Sequence[Any]:
    sql = _django_sql(sqlite_sql.SQL[step.statement])
    if not sql:
        return ()
    with connection.cursor() as cursor:
        if step.statement is Statement.SAVE_COUNTERS:
            cursor.executemany(sql, sqlite_values.encode_rows(step))
            return ()
        cursor.execute(sql, sqlite_values.encode(step))
        return sqlite_values.rows_of(step.statement, cursor.fetchall() if step.statement.gives else ())


def _execute_on_postgresql(step: Step) -> Sequence[Any]:
    gives = step.statement.gives
    with connection.cursor() as cursor:
        cursor.execute(_postgresql_sql(step.statement), step.parameters)
        return [gives._make(row) for row in cursor.fetchall()] if gives else ()


def _postgresql_sql(statement: Statement) -> str:
    sql = postgresql_sql.SQL[statement].replace("%", "%%")
    return re.sub(r"\$(\d)", lambda match: _placeholder(statement, int(match[1])), sql)


def _placeholder(statement: Statement, number: int) -> str:
    cast = CASTS.get(statement.takes[number - 1])
    return f"%s::{cast}" if cast else "%s"


def _django_sql(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _is_sqlite() -> bool:
    return connection.vendor == "sqlite"
