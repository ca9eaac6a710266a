"""The barrier that makes revocation linearizable against decisions, and other database locks.

A decision holds the lock shared from before it reads its facts until it commits. A revoker changes its rows and takes
the lock exclusively as its last statement, so its answer comes after every decision that could have missed the change.
SQLite needs no lock: its transactions are IMMEDIATE, one writer at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

DECISIONS = 0x4147_0001
SIGNING_KEYS = 0x4147_0002


def share_decision_lock() -> None:
    """Hold off revocations until this transaction ends. Call before reading any live fact."""
    _execute("SELECT pg_advisory_xact_lock_shared(%s)", DECISIONS)


@contextmanager
def revocation() -> Iterator[None]:
    """A transaction after whose commit no decision can rest on what it changed.

    Danger: the lock comes last. Held over work it stalls every verify; taken before a row lock it can deadlock.
    """
    with transaction.atomic():
        yield
        _execute("SELECT pg_advisory_xact_lock(%s)", DECISIONS)


def lock_signing_keys() -> None:
    """Let one process at a time make keys, until this transaction ends."""
    _execute("SELECT pg_advisory_xact_lock(%s)", SIGNING_KEYS)


def _execute(sql: str, key: int) -> None:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])
