"""What PostgreSQL keeps of deleted and changed rows, and how to remove it.

VACUUM marks their room as free, but their bytes stay in the files until something else is written there. A table that
is rewritten leaves them behind, with its indexes and its long values. The planner's statistics, which have values of
columns, are a table, too. Encrypting the columns instead is not possible: addresses are searched and names are sorted.
"""

import re
import time
from datetime import datetime
from typing import NamedTuple

from django.db import InternalError, OperationalError, connection
from django.db.backends.utils import CursorWrapper
from psycopg.errors import DataCorrupted, DeadlockDetected, Diagnostic, LockNotAvailable

from core.sqlite import empty_wal
from core.timeouts import BRIEF_LOCK_SECONDS, REWRITE_LOCK_SECONDS

# These are large, and a rewrite stops all decisions. What they have of a person is an ID, or encrypted under a key that
# an erasure destroys.
LEFT = (
    "audit_checkpoint",
    "audit_posting",
    "audit_segment",
    "audit_stream",
    "audit_tile",
    "insights_rollup",
    "limits_counter",
    "tokens_accesstoken",
    "tokens_refreshtoken",
    "tokens_tokenfamily",
)
STATISTICS = "pg_catalog.pg_statistic"
TABLES = """
    SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND NOT c.relispartition AND c.relname <> ALL(%s)
    ORDER BY c.relname
"""
COLUMNS = """
    SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)
    FROM pg_stats s JOIN pg_attribute a ON a.attrelid = %s::regclass AND a.attname = s.attname
    WHERE format('%%I.%%I', s.schemaname, s.tablename) = %s AND NOT s.inherited
"""
# VACUUM FULL keeps rows for the transactions of this database, and for those of other databases of the server that have
# written something, because its own snapshot goes back to them. A plain VACUUM needs no old rows.
HOLDERS = """
    SELECT 'Process ' || pid, COALESCE(backend_xid, backend_xmin)::text,
        concat_ws(', ', backend_type, 'database ' || datname, 'role ' || usename, NULLIF(application_name, ''), state),
        xact_start, format('end its transaction, or run SELECT pg_terminate_backend(%s)', pid)
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
        AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL AND (datname = current_database() OR datname IS NULL))
    UNION ALL
    SELECT 'Prepared transaction ' || gid, transaction::text, format('database %s, role %s', database, owner),
        prepared, 'commit it or roll it back'
    FROM pg_prepared_xacts
    UNION ALL
    SELECT 'Replication slot ' || slot_name, concat_ws(' ', xmin, catalog_xmin), slot_type, NULL,
        'let its reader catch up, or drop it'
    FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
"""
PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 1.0
KEPT = re.compile(r"([0-9]+) ")
IN_USE = "it was in use"
STILL_SEEN = "a transaction, a replication slot or a standby still needs old rows of it"


class Holder(NamedTuple):
    """What may still need old rows. It needs later ones when its `horizon` has changed."""

    name: str
    horizon: str
    what: str
    since: datetime | None
    remedy: str

    def __str__(self) -> str:
        since = f", since {self.since:%Y-%m-%d %H:%M:%S %Z}" if self.since else ""
        return f"{self.name} may need old rows ({self.what}{since}): {self.remedy}."


def purge_old_rows() -> list[str]:
    """Remove from the files of the database what was deleted or changed. Return where that failed, and why.

    It waits up to `PATIENCE_SECONDS` for other transactions, and then tries once more.

    Danger: requests wait while a table is rewritten. Call it outside any transaction.
    """
    if connection.vendor != "postgresql":
        return [] if empty_wal() else ["The write-ahead log: it has a reader."]
    problems = _rewrite_all(_tables())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while {IN_USE, STILL_SEEN} & set(problems.values()) and time.monotonic() < deadline:
        _wait(problems, deadline)
        problems = _rewrite_all(list(problems))
    return [*(f"{table}: {problem}." for table, problem in problems.items()), *map(str, _holders(problems))]


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [list(LEFT)])
        return [name for (name,) in cursor.fetchall()]


def _holders(problems: dict[str, str]) -> list[Holder]:
    """Return what may need old rows, if any of the problems is that they are needed."""
    if STILL_SEEN not in problems.values():
        return []
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS)
        return [Holder(*row) for row in cursor.fetchall()]


def _wait(problems: dict[str, str], deadline: float) -> None:
    """Wait until nothing needs the old rows that it needs now, so that no table is rewritten in vain."""
    awaited = _horizons(problems)
    time.sleep(PAUSE_SECONDS)
    while time.monotonic() < deadline and awaited & _horizons(problems):
        time.sleep(PAUSE_SECONDS)


def _horizons(problems: dict[str, str]) -> set[tuple[str, str]]:
    return {(holder.name, holder.horizon) for holder in _holders(problems)}


def _rewrite_all(tables: list[str]) -> dict[str, str]:
    """Rewrite tables, and the statistics last, because each table leaves old ones. Return the problem of each table."""
    names = [*(table for table in tables if table != STATISTICS), STATISTICS]
    return {table: problem for table in names if (problem := _rewrite(table))}


def _rewrite(table: str) -> str:
    """Rewrite a table and return why old rows are still in its files, or "" if none are."""
    try:
        return next(iter(_vacuum(table)), "")
    except (OperationalError, InternalError) as error:
        if isinstance(error.__cause__, DataCorrupted) and table == STATISTICS:
            # A transaction still needs an old row whose long values a plain VACUUM has already removed.
            return STILL_SEEN
        if not isinstance(error.__cause__, (LockNotAvailable, DeadlockDetected)):
            raise
        return IN_USE


def _vacuum(table: str) -> list[str]:
    """Return the problems that the server reports. It refuses a table of another owner with a warning only."""
    problems: list[str] = []

    def note(said: Diagnostic) -> None:
        if said.severity_nonlocalized == "WARNING":
            problems.append((said.message_primary or "").rstrip("."))
        kept = KEPT.match(said.message_detail or "")
        if kept and int(kept[1]):
            problems.append(STILL_SEEN)

    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {int(REWRITE_LOCK_SECONDS * 1000)}")
        cursor.connection.add_notice_handler(note)
        try:
            if table == STATISTICS:
                cursor.execute(f"VACUUM (FULL, VERBOSE) {table}")
            else:
                cursor.execute(f"VACUUM (FULL, VERBOSE, ANALYZE) {table}")
                if not problems:
                    _forget_statistics_of_empty(cursor, table)
        finally:
            cursor.connection.remove_notice_handler(note)
            cursor.execute("RESET lock_timeout")
    return problems


def _forget_statistics_of_empty(cursor: CursorWrapper, table: str) -> None:
    """Forget the values of an empty table. ANALYZE would keep them, and only a column that is altered loses them."""
    cursor.execute(f"SET lock_timeout = {int(min(REWRITE_LOCK_SECONDS, BRIEF_LOCK_SECONDS) * 1000)}")
    cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608
    if cursor.fetchone() == (False,):
        cursor.execute(COLUMNS, [table, table])
        for column, kind in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
