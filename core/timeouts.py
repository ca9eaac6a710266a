"""How long each process waits for its database, its queue and its own threads: one table, and what enforces it.

A server that is frozen, or that its host no longer schedules, cancels nothing, and its kernel still acknowledges what
is sent. So the client measures the silence, too (`core/postgresql/`), and remembers for a request that it met one: what
else the request asks fails at once. docs/configuration.md prints the table.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# Opening a connection to PostgreSQL, per host of the URL.
CONNECT_SECONDS = 3
# A connection whose other end is gone: how long it is idle before a probe, the time between probes, and how many.
KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 10, 3, 3
# How long what was sent may remain without an acknowledgment of the other end's kernel.
TCP_USER_SECONDS = 10
# How long one statement of a request, or one batch of decisions, may take, including waits for locks.
STATEMENT_SECONDS = 5.0
# How long a caller waits for a decision, in the queue and in the batch together.
DECISION_SECONDS = 5.0
# How long a request waits for PostgreSQL to answer one statement. PostgreSQL itself cancels it earlier, if it can.
SILENCE_SECONDS = 6.0
# The same for the sequencer and the worker, whose statements concern many rows.
WORK_SECONDS = 300.0
# How long the answer to a request may take if its first statement meets a silent database.
ANSWER_SECONDS = 9.0
# How long a request waits for a thread. What is then left is the least that a statement gets.
THREAD_SECONDS = 8.0
# Waiting for the lock of the sequencer and, on SQLite, for other writers of the process.
LOCK_SECONDS = 3.0
# Rewriting a table after an erasure waits for the statements in progress, and new ones wait behind it; so does dropping
# an archived month. Where two tables are locked, half of PostgreSQL's `deadlock_timeout`, after which it ends a request
# that needs both.
REWRITE_LOCK_SECONDS, BRIEF_LOCK_SECONDS = 5.0, 0.5
DROP_LOCK_SECONDS = 1.0
# One command of Redis: of the cache and the throttles, and of the queue.
REDIS_SECONDS = 0.5
QUEUE_SECONDS = 5.0

# What is waited for, for how many seconds, and in which processes. docs/configuration.md shows it.
EACH, REQUESTS, WORKERS = "all", "servers", "the sequencer and the worker"
TABLE: tuple[tuple[str, float, str], ...] = (
    ("A connection to PostgreSQL, per host of the URL", CONNECT_SECONDS, EACH),
    ("Before the first TCP keepalive", KEEPALIVE_IDLE_SECONDS, EACH),
    (f"Between keepalives, of which {KEEPALIVE_COUNT} may be lost", KEEPALIVE_INTERVAL_SECONDS, EACH),
    ("An acknowledgment of what was sent (`tcp_user_timeout`)", TCP_USER_SECONDS, EACH),
    ("A statement, until PostgreSQL cancels it (`statement_timeout`)", STATEMENT_SECONDS, REQUESTS),
    ("A batch of decisions, and a verify with its time in the queue", DECISION_SECONDS, REQUESTS),
    ("PostgreSQL's answer to a statement, until the connection is closed", SILENCE_SECONDS, REQUESTS),
    ("A thread", THREAD_SECONDS, REQUESTS),
    ("A thread and PostgreSQL's silence together", ANSWER_SECONDS, REQUESTS),
    ("A statement", WORK_SECONDS, WORKERS),
    ("A lock on a row", STATEMENT_SECONDS, REQUESTS),
    ("The sequencer's lock and, on SQLite, other writers of the process", LOCK_SECONDS, EACH),
    ("The lock that rewrites a table after an erasure", REWRITE_LOCK_SECONDS, "commands"),
    ("The lock that drops an archived month", DROP_LOCK_SECONDS, WORKERS),
    ("A command of Redis, for the cache and throttles", REDIS_SECONDS, REQUESTS),
    ("A command of Redis, for the queue", QUEUE_SECONDS, "the worker and the doctor"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """The limits of one statement in a kind of process, in seconds. None: an operator waits, and can end it."""

    statement: float | None
    """After how long PostgreSQL cancels it."""
    silence: float | None
    """After how long the process closes the connection."""


SERVER = Kind(STATEMENT_SECONDS, SILENCE_SECONDS)
WORKER = Kind(WORK_SECONDS, WORK_SECONDS + 1)
COMMAND = Kind(None, None)

_kind = COMMAND


def use(kind: Kind) -> None:
    """Set the limits of this process. Call it at its start, before it connects."""
    global _kind
    _kind = kind


def kind() -> Kind:
    return _kind


@dataclass(slots=True)
class Patience:
    """What one request waits for at most, and what it has met."""

    seconds: float
    """How long it waits for one answer of the database."""
    connects_until: float
    """By when it must have connected, to whichever host (`time.monotonic`)."""
    is_silent: bool = False
    """Whether the database did not answer it."""
    may_have_committed: bool = False
    """Whether the answer to a COMMIT was lost."""
    has_committed: bool = False
    """Whether a COMMIT succeeded."""


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def has_waited_too_long(arrived: float) -> bool:
    """Return whether a request that arrived then (`time.monotonic`) must be refused instead of answered."""
    return time.monotonic() - arrived >= THREAD_SECONDS


@contextmanager
def answering(arrived: float) -> Iterator[None]:
    """Answer a request that arrived then (`time.monotonic`): the longer it waited, the less the database gets."""
    now = time.monotonic()
    left = max(arrived + ANSWER_SECONDS - now, ANSWER_SECONDS - THREAD_SECONDS)
    token = _patience.set(Patience(min(SILENCE_SECONDS, left), now + left))
    try:
        yield
    finally:
        _patience.reset(token)


def silence_seconds() -> float | None:
    """Return how long to wait for the database to answer one statement."""
    patience = _patience.get()
    return _kind.silence if patience is None else patience.seconds


def may_connect() -> bool:
    """Return whether this request may still wait for a connection to the database."""
    patience = _patience.get()
    return patience is None or (not patience.is_silent and time.monotonic() < patience.connects_until)


def report_silence() -> None:
    """Remember that the database did not answer this request."""
    if patience := _patience.get():
        patience.is_silent = True


def cause_to_log[E: BaseException](error: E) -> E | None:
    """Return the error, whose traceback is logged, or None if the request failed because the database was silent.

    The connection has logged that in one line. Tracebacks of each request would fill the disk during a long silence.
    """
    patience = _patience.get()
    return None if patience is not None and patience.is_silent else error


def report_commit(*, is_lost: bool) -> None:
    """Remember that a COMMIT of this request succeeded, or that its answer was lost."""
    if patience := _patience.get():
        patience.has_committed |= not is_lost
        patience.may_have_committed |= is_lost


def may_have_committed() -> bool:
    """Return whether the answer to a COMMIT of this request was lost, so that it may have been carried out."""
    patience = _patience.get()
    return patience is not None and patience.may_have_committed


def has_committed() -> bool:
    """Return whether this request has changed something already."""
    patience = _patience.get()
    return patience is not None and patience.has_committed
