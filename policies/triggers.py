"""Database triggers that give an organization a new `policy_version` when one of its policies changes.

They run in the transaction of the change, also for raw SQL, bulk writes and cascades. The version is random: after a
rollback, a counter would repeat for other content, and a process that had read the policies within the first
transaction would keep them.

Danger: for SQLite, a migration that alters `Policy` or `Organization` must remove the triggers first and install them
again at its end. Django remakes the table: without the one the triggers are lost, without the other renaming fails.
"""

from collections.abc import Sequence

# The rows of a statement that name the organizations concerned. An UPDATE may move a policy from one to another.
ROWS = {"INSERT": ("new",), "UPDATE": ("old", "new"), "DELETE": ("old",)}

# Organizations are locked in the order of their ids, so that statements with several of them never deadlock.
POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION policies_after_{act}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM developers_organization WHERE id IN ({organizations}) ORDER BY id FOR NO KEY UPDATE;
    UPDATE developers_organization SET policy_version = replace(gen_random_uuid()::text, '-', '')
    WHERE id IN ({organizations});
    RETURN NULL;
END $$
"""
# One run per statement: an import of 500 policies updates the organization once.
POSTGRESQL_TRIGGER = """
CREATE OR REPLACE TRIGGER policies_after_{act} AFTER {act} ON policies_policy REFERENCING {tables}
FOR EACH STATEMENT EXECUTE FUNCTION policies_after_{act}()
"""
POSTGRESQL_ROWS = "SELECT organization_id FROM {row}_rows"
SQLITE_TRIGGER = """
CREATE TRIGGER IF NOT EXISTS policies_{when}_{act} {when} {act} ON policies_policy BEGIN
    UPDATE developers_organization SET policy_version = lower(hex(randomblob(16))) WHERE id IN ({organizations});
END
"""
# OR REPLACE deletes the row that has the new id, and SQLite calls no trigger for that.
SQLITE_REPLACING = ("INSERT", "UPDATE")
SQLITE_REPLACED = "SELECT organization_id FROM policies_policy WHERE id = new.id"


def install_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that creates the triggers on this database."""
    if vendor == "postgresql":
        return [statement for act, rows in ROWS.items() for statement in _on_postgresql(act, rows)]
    return [
        *(_on_sqlite("after", act, ", ".join(f"{row}.organization_id" for row in rows)) for act, rows in ROWS.items()),
        *(_on_sqlite("before", act, SQLITE_REPLACED) for act in SQLITE_REPLACING),
    ]


def remove_statements(vendor: str) -> Sequence[str]:
    """Return the SQL that removes the triggers."""
    if vendor == "postgresql":
        return [f"DROP FUNCTION IF EXISTS policies_after_{act} CASCADE" for act in ROWS]
    names = [*(f"after_{act}" for act in ROWS), *(f"before_{act}" for act in SQLITE_REPLACING)]
    return [f"DROP TRIGGER IF EXISTS policies_{name}" for name in names]


def _on_postgresql(act: str, rows: Sequence[str]) -> Sequence[str]:
    tables = " ".join(f"{row.upper()} TABLE AS {row}_rows" for row in rows)
    organizations = " UNION ".join(POSTGRESQL_ROWS.format(row=row) for row in rows)
    return [
        POSTGRESQL_FUNCTION.format(act=act, organizations=organizations),
        POSTGRESQL_TRIGGER.format(act=act, tables=tables),
    ]


def _on_sqlite(when: str, act: str, organizations: str) -> str:
    return SQLITE_TRIGGER.format(when=when, act=act, organizations=organizations)
