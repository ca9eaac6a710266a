"""The doctor compares the triggers of the database with those that this version's migrations install."""

import pytest
from django.db import connection, transaction

from server.doctor import database
from server.vitals import Status
from tests.server.test_doctor import found_by

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
PROBLEM = Status.PROBLEM


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize("name", ["policies_after_insert", "policies_after_update", "audit_tile", "audit_journal"])
def test_a_trigger_that_was_removed_or_disabled_is_found(name: str, store: str) -> None:
    if store == "postgresql":
        alter = {
            "policies_after_insert": "DROP TRIGGER policies_after_insert ON policies_policy",
            "policies_after_update": "ALTER TABLE policies_policy ENABLE REPLICA TRIGGER policies_after_update",
            "audit_tile": "ALTER TABLE audit_tile DISABLE TRIGGER audit_insert_only",
            "audit_journal": "DROP TRIGGER audit_journal_insert_only ON audit_journal",
        }[name]
    else:
        name = name if name.startswith("policies") else f"{name}_no_update"
        alter = f"DROP TRIGGER {name}"
    execute(alter)
    status, text = found_by(database.check_triggers)
    assert status is PROBLEM
    assert name in text.partition(": ")[2]
    assert "run ./dev manage audit_verify" in text


def test_a_trigger_with_another_text_is_found(store: str) -> None:
    if store == "postgresql":
        name, statements = "audit_refuse_change", (POSTGRESQL_HARMLESS, INSERT_ONLY_ON_UPDATES)
    else:
        name = "audit_entry_no_update"
        statements = (f"DROP TRIGGER {name}", f"CREATE TRIGGER {name} BEFORE UPDATE ON audit_entry BEGIN SELECT 1; END")
    execute(*statements)
    status, text = found_by(database.check_triggers)
    assert status is PROBLEM
    assert name in text
    assert ("audit_tile" in text) == (store == "postgresql")


SKIP_ROWS = "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
INSTALLED = {
    "sqlite": {
        "zz on audit_journal": "CREATE TRIGGER zz BEFORE INSERT ON audit_journal BEGIN SELECT RAISE(IGNORE); END",
        "zz on AUDIT_ENTRY": "CREATE TRIGGER zz BEFORE INSERT ON AUDIT_ENTRY BEGIN SELECT RAISE(IGNORE); END",
        "no name on audit_posting": (
            'CREATE TRIGGER "no name" BEFORE INSERT ON audit_posting BEGIN SELECT RAISE(IGNORE); END'
        ),
        "zz on policies_policy": "CREATE TRIGGER zz BEFORE UPDATE ON policies_policy BEGIN SELECT RAISE(IGNORE); END",
    },
    "postgresql": {
        "zz on audit_journal": "CREATE RULE zz AS ON INSERT TO audit_journal DO INSTEAD NOTHING",
        "zz on audit_posting": f"CREATE TRIGGER zz BEFORE UPDATE ON audit_posting {SKIP_ROWS}",
        "policies_after_update on audit_stream": (
            f"CREATE TRIGGER policies_after_update BEFORE UPDATE ON audit_stream {SKIP_ROWS}"
        ),
        "audit_insert_only on audit_tile": f"""
            CREATE OR REPLACE TRIGGER audit_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_tile
            FOR EACH STATEMENT {SKIP_ROWS.removeprefix("FOR EACH ROW ")}
        """,
        "zz on elsewhere": f"""
            CREATE TABLE elsewhere PARTITION OF audit_entry FOR VALUES IN (1);
            CREATE TRIGGER zz BEFORE UPDATE ON elsewhere {SKIP_ROWS}
        """,
        "row security on audit_journal": "ALTER TABLE audit_journal ENABLE ROW LEVEL SECURITY",
    },
}


def test_what_no_migration_installs_on_a_table_of_the_log_is_found(store: str) -> None:
    """Each loses rows of the log, of policies or of organizations, and no table lacks its own triggers."""
    for name, statement in INSTALLED[store].items():
        with transaction.atomic():
            execute(statement)
            status, text = found_by(database.check_triggers)
            transaction.set_rollback(True)
        assert status is PROBLEM
        assert name in text.partition(": ")[2]
    assert found_by(database.check_triggers)[0] is Status.OK


POSTGRESQL_HARMLESS = """
    CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$
"""
INSERT_ONLY_ON_UPDATES = """
    CREATE OR REPLACE TRIGGER audit_insert_only BEFORE UPDATE ON audit_tile
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()
"""
