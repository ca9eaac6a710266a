"""Database triggers that reject changes of the log, also by raw SQL, a shell or a faulty migration."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

# How the sequencer, which may delete rows of the journal, makes itself known: a setting on PostgreSQL, a function on
# SQLite. Without the function, SQLite refuses the statement because it does not know it.
SEQUENCING = "audit.sequencing"
SQLITE_SEQUENCING = "audit_is_sequencing"
JOURNAL = "audit_journal"
TABLES = ("audit_entry", "audit_concern", "audit_pendingentry", "audit_leaf")

POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
END $$
"""


POSTGRESQL_JOURNAL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_guard_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('{SEQUENCING}', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
END $$
"""


def install_statements(vendor: str, tables: Sequence[str] = TABLES) -> Sequence[str]:
    """Return the SQL that protects the tables on this database."""
    if vendor == "postgresql":
        return [POSTGRESQL_FUNCTION, *(_postgresql_trigger(table) for table in tables)]
    return [_sqlite_trigger(table, act) for table in tables for act in ("UPDATE", "DELETE")]


def remove_statements(vendor: str, tables: Sequence[str] = TABLES) -> Sequence[str]:
    """Return the SQL that removes the protection. Only the owner of the tables may run it."""
    if vendor == "postgresql":
        return [f"DROP TRIGGER IF EXISTS {table}_insert_only ON {table}" for table in tables]
    return [f"DROP TRIGGER IF EXISTS {table}_no_{act}" for table in tables for act in ("update", "delete")]


def install_journal_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that protects the journal, from which only the sequencer may delete."""
    if vendor == "postgresql":
        return [POSTGRESQL_JOURNAL_FUNCTION, _postgresql_trigger(JOURNAL, "audit_guard_journal")]
    condition = f"WHEN NOT {SQLITE_SEQUENCING}()"
    return [_sqlite_trigger(JOURNAL, "UPDATE"), _sqlite_trigger(JOURNAL, "DELETE", condition)]


def remove_journal_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that removes the protection of the journal."""
    return remove_statements(vendor, [JOURNAL])


@contextmanager
def draining() -> Iterator[None]:
    """Let this thread delete rows of the journal. Only the sequencer may, and only what it has copied."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, 'on', true)", [SEQUENCING])
            yield
            cursor.execute("SELECT set_config(%s, 'off', true)", [SEQUENCING])
        return
    connection.connection.create_function(SQLITE_SEQUENCING, 0, lambda: True)
    try:
        yield
    finally:
        connection.connection.create_function(SQLITE_SEQUENCING, 0, lambda: False)


def _postgresql_trigger(table: str, function: str = "audit_refuse_change") -> str:
    return (
        f"CREATE OR REPLACE TRIGGER {table}_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )


def _sqlite_trigger(table: str, act: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{act.lower()} BEFORE {act} ON {table} {condition} "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is insert-only'); END"
    )
