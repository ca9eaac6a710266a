"""Statements on PostgreSQL whose values are sent apart from them, in binary.

Django writes values into the statement as text, which takes four times as long for an array.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

COPY_HEADER, COPY_TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
NULL = b"\xff\xff\xff\xff"


@contextmanager
def binary_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """Open a cursor of Django's connection whose placeholders are `%b`. It raises Django's errors."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def copy(statement: str, rows: Iterable[bytes]) -> None:
    """Run a COPY from rows in the binary format: the number of values, and then each of them."""
    with binary_cursor() as cursor, cursor.copy(statement.encode()) as target:
        target.write(b"".join([COPY_HEADER, *rows, COPY_TRAILER]))


def value(data: bytes | None) -> bytes:
    """Return a value of a row for `copy`: its length, and its bytes."""
    return NULL if data is None else len(data).to_bytes(4, "big") + data
