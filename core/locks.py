"""The barrier that makes revocation linearizable against decisions, and other database locks.

A decision holds the lock shared from before it reads its facts until it commits. A revoker changes its rows and takes
the lock exclusively as its last statement, so its answer comes after every decision that could have missed the change.
SQLite needs no lock: its transactions are IMMEDIATE, one writer at a time.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.db import connection, transaction

DECISIONS = 0x4147_0001
SIGNING_KEYS = 0x4147_0002


# Threads that wait for SQLite's one writer sleep and guess when to look again; here they queue instead.
_turn = threading.Lock()


@contextmanager
def deciding() -> Iterator[None]:
    """A transaction that no revocation can overtake. Read every live fact inside it."""
    with _queue_of_writers(), transaction.atomic():
        _execute("SELECT pg_advisory_xact_lock_shared(%s)", DECISIONS)
        yield


@contextmanager
def revocation() -> Iterator[None]:
    """A transaction after whose commit no decision can rest on what it changed.

    Danger: the lock comes last. Held over work it stalls every verify; taken before a row lock it can deadlock.
    """
    with transaction.atomic():
        yield
        hold_decisions()


def hold_decisions() -> None:
    """Wait for the decisions under way, and hold up new ones until this transaction ends.

    For a revoker that must rewrite what decisions write, such as counters. Danger: it must have locked and changed all
    its other rows before, or it can deadlock; and what it does from here on stalls every verify.
    """
    _check_foreign_keys()
    _execute("SELECT pg_advisory_xact_lock(%s)", DECISIONS)


def _check_foreign_keys() -> None:
    """Check them now instead of at the commit: the check locks the rows referred to, and the advisory lock comes last.

    Otherwise a transaction that adds a policy and one that changes its agent would wait for each other.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def lock_signing_keys() -> None:
    """Let one process at a time make keys, until this transaction ends."""
    _execute("SELECT pg_advisory_xact_lock(%s)", SIGNING_KEYS)


def _queue_of_writers() -> AbstractContextManager[object]:
    return _turn if connection.vendor == "sqlite" else nullcontext()


def _execute(sql: str, key: int) -> None:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])
