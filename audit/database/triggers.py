"""Database triggers that reject changes to the log, including those by raw SQL, a shell or a faulty migration."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

# How the sequencer, which may delete rows of the journal, and the archiver, which may delete archived entries, make
# themselves known: a setting on PostgreSQL, a function on SQLite. Connections that are not Django's have no such
# function, so SQLite refuses the statement.
SEQUENCING = "audit.sequencing"
SQLITE_SEQUENCING = "audit_is_sequencing"
SQLITE_PRUNING = "audit_is_pruning"
_is_draining: ContextVar[bool] = ContextVar("is_draining", default=False)
_is_pruning: ContextVar[bool] = ContextVar("is_pruning", default=False)

KEYS = {
    "audit_entry": "leaf_index = NEW.leaf_index OR id = NEW.id",
    "audit_tile": "level = NEW.level AND number = NEW.number",
    "audit_checkpoint": "size = NEW.size",
    "audit_journal": "id = NEW.id",
}

REFUSE = """
    CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
    END $$
"""
GUARD_JOURNAL = f"""
    CREATE OR REPLACE FUNCTION audit_guard_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('{SEQUENCING}', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
    END $$
"""
# A statement that names a partition passes the triggers of its parent by.
PROTECT = """
    CREATE OR REPLACE FUNCTION audit_protect(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('CREATE OR REPLACE TRIGGER audit_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()', relation);
    END $$
"""
PROTECT_ALL = """
    DO $$
    BEGIN
        PERFORM audit_protect(name::regclass) FROM unnest(ARRAY['audit_entry', 'audit_tile', 'audit_checkpoint']) name;
        PERFORM audit_protect(inhrelid::regclass) FROM pg_inherits WHERE inhparent = 'audit_entry'::regclass;
    END $$
"""
PROTECT_JOURNAL = """
    CREATE OR REPLACE TRIGGER audit_journal_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_journal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_guard_journal()
"""
POSTGRESQL = (REFUSE, GUARD_JOURNAL, PROTECT, PROTECT_ALL, PROTECT_JOURNAL)
FUNCTIONS = ("audit_refuse_change()", "audit_guard_journal()", "audit_protect(regclass)")

# The type is that of a trigger before the statements UPDATE, DELETE and TRUNCATE.
UNPROTECTED = """
    SELECT relation::text FROM (
        SELECT name::regclass AS relation FROM unnest(ARRAY['audit_entry', 'audit_tile', 'audit_checkpoint']) name
        UNION ALL SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_entry'::regclass
        UNION ALL SELECT 'audit_journal'::regclass
    ) relations
    WHERE NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = relation AND tgenabled IN ('O', 'A')
        AND tgname IN ('audit_insert_only', 'audit_journal_insert_only') AND tgtype = 58 AND tgqual IS NULL
    ) ORDER BY 1
"""
IS_VERIFIED = """
    SELECT 1 FROM audit_archive
    WHERE month = OLD.month AND state = 'verified' AND OLD.leaf_index BETWEEN first AND last
"""


def _sqlite() -> dict[str, str]:
    found = {}
    for table, key in KEYS.items():
        found[f"{table}_no_update"] = f"BEFORE UPDATE ON {table}"
        # Without these, INSERT OR REPLACE would delete the row that is there: it calls no trigger for that.
        found[f"{table}_no_replacement"] = f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {key})"  # noqa: S608
        found[f"{table}_no_delete"] = f"BEFORE DELETE ON {table}"
    found["audit_entry_no_delete"] += f" WHEN NOT ({SQLITE_PRUNING}() AND EXISTS ({IS_VERIFIED}))"
    found["audit_journal_no_delete"] += f" WHEN NOT {SQLITE_SEQUENCING}()"
    return found


def install_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that protects the tables on this database. From the journal, only the sequencer may delete."""
    if vendor == "postgresql":
        return POSTGRESQL
    refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is insert-only'); END"
    return [f"CREATE TRIGGER IF NOT EXISTS {name} {when} {refuse}" for name, when in _sqlite().items()]


def remove_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that removes the protection. Only the owner of the tables may run it."""
    if vendor == "postgresql":
        return [f"DROP FUNCTION IF EXISTS {name} CASCADE" for name in FUNCTIONS]
    return [f"DROP TRIGGER IF EXISTS {name}" for name in _sqlite()]


def unprotected(cursor: CursorWrapper) -> list[str]:
    """Return the tables of PostgreSQL whose trigger is missing or disabled. Those of SQLite have names of their own."""
    if connection.vendor != "postgresql":
        return []
    cursor.execute(UNPROTECTED)
    return [row[0] for row in cursor.fetchall()]


@contextmanager
def draining() -> Iterator[None]:
    """Let this thread delete rows of the journal: the sequencer what it logs, and an operator a damaged row."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, 'on', true)", [SEQUENCING])
            yield
            cursor.execute("SELECT set_config(%s, 'off', true)", [SEQUENCING])
        return
    before = _is_draining.set(True)
    try:
        yield
    finally:
        _is_draining.reset(before)


@contextmanager
def pruning() -> Iterator[None]:
    """Let this thread delete entries on SQLite. PostgreSQL drops whole partitions instead."""
    before = _is_pruning.set(True)
    try:
        yield
    finally:
        _is_pruning.reset(before)


def add_sqlite_functions(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Add the functions that the triggers call. Django calls this for each new connection.

    They are added once, because adding one makes SQLite compile all statements of the connection again.
    """
    if connection.vendor == "sqlite":
        connection.connection.create_function(SQLITE_SEQUENCING, 0, _is_draining.get)
        connection.connection.create_function(SQLITE_PRUNING, 0, _is_pruning.get)
