"""What PostgreSQL keeps of deleted and changed rows, and how to remove it.

VACUUM marks their room as free, but their bytes stay in the files until something else is written there. A table that
is rewritten leaves them behind, with its indexes and its long values. The planner's statistics, which have values of
columns, are a table, too.
"""

import re
import time

from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from psycopg.errors import Diagnostic, LockNotAvailable

from core.sqlite import empty_wal

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
LOCK_SECONDS = 5
ATTEMPTS, PAUSE_SECONDS = 5, 1.0
KEPT = re.compile(r"([0-9]+) ")
IN_USE = "it was in use for more than 5 seconds"
STILL_SEEN = "a transaction, a replication slot or a standby still needs old rows of it"


def purge_old_rows() -> list[str]:
    """Remove from the files of the database what was deleted or changed. Return where that failed, and why.

    Danger: requests wait while a table is rewritten. Call it outside any transaction.
    """
    if connection.vendor != "postgresql":
        return [] if empty_wal() else ["The write-ahead log: it has a reader."]
    return [f"{table}: {problem}." for table in [*_tables(), STATISTICS] if (problem := _rewrite(table))]


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [list(LEFT)])
        return [name for (name,) in cursor.fetchall()]


def _rewrite(table: str) -> str:
    """Rewrite a table and return why old rows are still in its files, or "" if none are."""
    problem = ""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS if attempt else 0)
        try:
            problem = next(iter(_vacuum(table)), "")
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            problem = IN_USE
        if not problem:
            break
    return problem


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
        cursor.execute(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}")
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
    cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608
    if cursor.fetchone() == (False,):
        cursor.execute(COLUMNS, [table, table])
        for column, kind in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
