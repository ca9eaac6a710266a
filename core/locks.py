"""The lock that makes revocation linearizable with decisions, and other database locks.

A decision takes the lock in shared mode before it reads any facts and holds it until it commits. A revocation changes
its rows and takes the lock in exclusive mode as its last statement, so it returns only after every decision that could
have missed the change. SQLite needs no lock: its transactions are IMMEDIATE, with one writer at a time, and
revocations queue with the other frequent writers of the process.
"""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.utils.translation import gettext_noop
from psycopg.errors import LockNotAvailable

from core.errors import Unavailable
from core.sql import execute
from core.timeouts import LOCK_SECONDS
from core.turns import TurnLock

DECISIONS = 0x4147_0001
SIGNING_KEYS = 0x4147_0002
SEQUENCER = 0x4147_0003
ARCHIVER = 0x4147_0004
GRANTS = 0x4147_0005
IDENTIFIERS = 0x4147_0007
# SQLite asks for a lock after 1 and 2 milliseconds, then ever more rarely.
POLL_MILLISECONDS = 3


class Busy(Unavailable):
    """Another process or thread holds the lock."""


# SQLite makes waiting writers sleep and poll. Those that write often queue for this lock instead.
sqlite_writer = TurnLock()


# What the revocation in progress in this thread does once it holds the lock.
_deferred: ContextVar[list[Callable[[], None]] | None] = ContextVar("deferred", default=None)


@contextmanager
def revocation() -> Iterator[None]:
    """Open a transaction as `write_transaction` does. After its commit, no decision uses the facts from before it.

    Danger: take the lock last. It stalls all verify requests while it is held, and taking it before a row lock can
    deadlock.
    """
    deferred: list[Callable[[], None]] = []
    with write_transaction():
        before = _deferred.set(deferred)
        try:
            yield
        finally:
            _deferred.reset(before)
        hold_decisions()
        for work in deferred:
            work()


def after_decisions(work: Callable[[], None]) -> None:
    """Do the work now or, in a revocation, once the decisions in progress have ended, in the same transaction.

    Danger: in a revocation it stalls all verify requests, so it must be short and lock nothing else.
    """
    deferred = _deferred.get()
    if deferred is None:
        work()
    else:
        deferred.append(work)


def hold_revocations() -> None:
    """Wait for revocations that are being committed and keep new ones waiting, as a decision does.

    For services that change what decisions write, such as counters. Danger: call it first in the transaction.
    """
    _execute("SELECT pg_advisory_xact_lock_shared(%s)", DECISIONS)


def hold_decisions() -> None:
    """Wait for the decisions in progress and block new ones until this transaction ends.

    For revocations that must rewrite what decisions write, such as counters. Danger: lock and change all other rows
    first, or it can deadlock. Anything done after this call stalls all verify requests.

    Foreign keys are checked before instead of at commit, because the check locks the referenced rows. Otherwise adding
    a policy and changing its agent at the same time can deadlock.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_advisory_xact_lock(%s)", [DECISIONS])


def share_grants() -> None:
    """Let a stop of everything wait until this transaction, which grants or issues something, has ended."""
    if connection.vendor == "postgresql":
        execute("SELECT pg_advisory_xact_lock_shared(%s)", [GRANTS])


def exclude_grants() -> None:
    """Wait for the transactions that grant or issue something, and keep new ones waiting until this one ends.

    Danger: call it first in the transaction. The only lock that may follow is that of a revocation.
    """
    _execute("SELECT pg_advisory_xact_lock(%s)", GRANTS)


def lock_signing_keys() -> None:
    """Prevent other processes from creating signing keys until this transaction ends."""
    _execute("SELECT pg_advisory_xact_lock(%s)", SIGNING_KEYS)


def lock_identifiers() -> None:
    """Let no other transaction register a resource server or prove a domain until this one ends.

    Danger: lock accounts and organizations before it, and resource servers after it.
    """
    _execute("SELECT pg_advisory_xact_lock(%s)", IDENTIFIERS)


@contextmanager
def sequencing(*, wait: bool = True) -> Iterator[None]:
    """Open a transaction in which no other one copies the journal into the log.

    Raises `Busy` if another one does, after `LOCK_SECONDS` or, if `wait` is false, at once. In an open transaction, the
    lock lasts until that ends.
    """
    with writing(), _taking_turns(savepoint=True):
        if not _execute("SELECT pg_try_advisory_xact_lock(%s)", SEQUENCER):
            if not wait:
                raise Busy
            _wait_for_sequencer()
        yield


@contextmanager
def write_transaction(*, savepoint: bool = True) -> Iterator[None]:
    """Open a transaction like `transaction.atomic`. On SQLite, take turns with the other frequent writers.

    The turn ends with the commit, so what follows it, such as an email, keeps no other writer waiting. Raises `Busy` as
    `writing` does.
    """
    with writing() as end_turn, _taking_turns(savepoint=savepoint):
        if end_turn:
            transaction.on_commit(end_turn)
        yield


@contextmanager
def _taking_turns(*, savepoint: bool) -> Iterator[None]:
    """Open a transaction. On SQLite, ask for it again every few milliseconds.

    SQLite itself would soon ask only every 100. The decisions ask every millisecond and leave the database free for
    less than that, so under load it would not get a turn for seconds.
    """
    with ExitStack() as stack:
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            _begin_on_sqlite(stack)
        else:
            stack.enter_context(transaction.atomic(savepoint=savepoint))
        yield


def _begin_on_sqlite(stack: ExitStack) -> None:
    """Enter a transaction. Raises `OperationalError` after as long as usual."""
    connection.ensure_connection()
    raw = connection.connection
    patience = connection.settings_dict["OPTIONS"]["timeout"]
    deadline = time.monotonic() + patience
    raw.execute(f"PRAGMA busy_timeout={POLL_MILLISECONDS}")
    try:
        while True:
            try:
                stack.enter_context(transaction.atomic())
                return
            except OperationalError as error:
                if not _is_locked(error) or time.monotonic() >= deadline:
                    raise
                _forget_frames(error)
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(1000 * patience)}")


def _forget_frames(error: BaseException) -> None:
    """Free at once what the frames of the error refer to, and those that have called them.

    Django's frames refer to the error in turn, so the sequencer would keep the entries of each attempt until Python
    looks for garbage, which it does rarely.
    """
    for each in (error, error.__cause__):
        if each:
            each.__traceback__ = None


def _wait_for_sequencer() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
        try:
            _execute("SELECT pg_advisory_xact_lock(%s)", SEQUENCER)
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise Busy from error
            raise
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


@contextmanager
def writing() -> Iterator[Callable[[], None] | None]:
    """Queue with the frequent writers on SQLite. Raises `Busy` after `LOCK_SECONDS`. PostgreSQL needs no queue.

    Yield what ends the turn earlier, or None without one. A thread with an open transaction must not wait for a turn:
    it blocks the others.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield None
        return
    if not sqlite_writer.acquire(LOCK_SECONDS):
        raise Busy
    with ExitStack() as turn:
        turn.callback(sqlite_writer.release)
        yield turn.close


def _is_locked(error: DatabaseError) -> bool:
    """Return whether SQLite refused a statement because another process writes."""
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _execute(sql: str, key: int) -> bool:
    """Return whether the lock is held."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])
        return bool(cursor.fetchone() != (False,))


@contextmanager
def archiving(alias: str) -> Iterator[None]:
    """Keep other archivers out. Raises `Busy` if there is one. On PostgreSQL, the lock is the connection's."""
    with _file_lock(alias) if connections[alias].vendor == "sqlite" else _session_lock(alias):
        yield


@contextmanager
def _session_lock(alias: str) -> Iterator[None]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ARCHIVER])
        if cursor.fetchone() == (False,):
            raise Busy(gettext_noop("Another process is archiving."))
    try:
        yield
    finally:
        with suppress(DatabaseError), connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ARCHIVER])


@contextmanager
def _file_lock(alias: str) -> Iterator[None]:
    """Lock a file beside the database. The system frees the lock when the process ends."""
    path = Path(connections[alias].settings_dict["NAME"])
    with path.with_name(f"{path.name}-archiver").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(gettext_noop("Another process is archiving.")) from error
        yield
