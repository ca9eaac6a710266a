"""Database triggers that reject changes of the log, also by raw SQL, a shell or a faulty migration."""

from collections.abc import Sequence

TABLES = ("audit_entry", "audit_concern", "audit_pendingentry", "audit_leaf")

POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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


def _postgresql_trigger(table: str) -> str:
    return (
        f"CREATE OR REPLACE TRIGGER {table}_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
    )


def _sqlite_trigger(table: str, act: str) -> str:
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{act.lower()} BEFORE {act} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is insert-only'); END"
    )
