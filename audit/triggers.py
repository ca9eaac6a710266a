"""Database triggers that reject changes of the log, also by raw SQL, a shell or a faulty migration."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

# How the sequencer, which may delete rows of the journal, makes itself known: a setting on PostgreSQL, a function on
# SQLite. Connections that are not Django's have no such function, so SQLite refuses the statement.
SEQUENCING = "audit.sequencing"
SQLITE_SEQUENCING = "audit_is_sequencing"
_is_draining: ContextVar[bool] = ContextVar("is_draining", default=False)

EVIDENCE = "id, timestamp, event, outcome, user_id, agent_id, consent_id, body"
CHANGES_EVIDENCE = "NEW.salt IS NOT NULL OR NEW.personal_data IS NOT NULL"

POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
    END $$
    """,
    f"""
    CREATE OR REPLACE FUNCTION audit_guard_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('{SEQUENCING}', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the audit log is insert-only: % on %', TG_OP, TG_TABLE_NAME;
    END $$
    """,
    f"""
    CREATE OR REPLACE TRIGGER audit_entry_insert_only BEFORE UPDATE OF {EVIDENCE} OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()
    """,
    f"""
    CREATE OR REPLACE TRIGGER audit_entry_erase_only BEFORE UPDATE ON audit_entry
    FOR EACH ROW WHEN ({CHANGES_EVIDENCE}) EXECUTE FUNCTION audit_refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER audit_concern_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_concern
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER audit_journal_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_journal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_guard_journal()
    """,
)
SQLITE = {
    "audit_entry_no_update": f"BEFORE UPDATE OF {EVIDENCE} ON audit_entry",
    "audit_entry_erase_only": f"BEFORE UPDATE ON audit_entry WHEN {CHANGES_EVIDENCE}",
    "audit_entry_no_delete": "BEFORE DELETE ON audit_entry",
    # Without these, INSERT OR REPLACE would delete the row that is there: it calls no trigger for that.
    "audit_entry_no_replacement": "BEFORE INSERT ON audit_entry WHEN EXISTS "
    "(SELECT 1 FROM audit_entry WHERE id = NEW.id)",
    "audit_journal_no_replacement": "BEFORE INSERT ON audit_journal WHEN EXISTS "
    "(SELECT 1 FROM audit_journal WHERE id = NEW.id)",
    "audit_concern_no_update": "BEFORE UPDATE ON audit_concern",
    "audit_concern_no_delete": "BEFORE DELETE ON audit_concern",
    "audit_journal_no_update": "BEFORE UPDATE ON audit_journal",
    "audit_journal_no_delete": f"BEFORE DELETE ON audit_journal WHEN NOT {SQLITE_SEQUENCING}()",
}


def install_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that protects the tables on this database.

    Of an entry, the personal data can be erased with its salt. From the journal, only the sequencer may delete.
    """
    if vendor == "postgresql":
        return POSTGRESQL
    refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is insert-only'); END"
    return [f"CREATE TRIGGER IF NOT EXISTS {name} {when} {refuse}" for name, when in SQLITE.items()]


def remove_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that removes the protection. Only the owner of the tables may run it."""
    if vendor == "postgresql":
        return [f"DROP FUNCTION IF EXISTS {name} CASCADE" for name in ("audit_refuse_change", "audit_guard_journal")]
    return [f"DROP TRIGGER IF EXISTS {name}" for name in SQLITE]


@contextmanager
def draining() -> Iterator[None]:
    """Let this thread delete rows of the journal: the sequencer what it copies, and an operator a damaged row."""
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


def add_sqlite_function(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Add the function that the trigger of the journal calls. Django calls this for each new connection.

    It is added once, because adding it makes SQLite compile all statements of the connection again.
    """
    if connection.vendor == "sqlite":
        connection.connection.create_function(SQLITE_SEQUENCING, 0, _is_draining.get)
