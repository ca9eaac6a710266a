"""The doctor compares the tables and triggers of the database with what this version's migrations make."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from accounts.models import User
from consent.models import Consent
from server.doctor import database, schema
from server.vitals import Status
from tests.server.test_doctor import found_by, run
from tests.shared import cases

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
PROBLEM = Status.PROBLEM


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def differences_of(table: str) -> list[str]:
    """Return the differences of one table, because comparing all takes long."""
    found = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table == table]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "apps", SimpleNamespace(get_models=lambda **_: found))
        return list(schema.differences())


def test_a_new_database_has_no_differences() -> None:
    assert list(schema.differences()) == []


def test_the_command_names_what_a_table_lacks_although_all_migrations_were_applied(capsys: Any) -> None:
    """As after a migration that was edited once it had run."""
    execute(f"DROP INDEX {an_index()}")

    code, printed = run(capsys=capsys)

    assert code == 2
    assert "ok       migrations   The database has all migrations.\n" in printed
    (line,) = [line for line in printed.splitlines() if " schema " in line]
    assert line.startswith(
        "problem  schema       The tables are not as this version needs them: consent_consent lacks "
    )


def an_index() -> str:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "consent_consent")
    return next(name for name, facts in found.items() if facts["index"] and not facts["unique"])


@cases(
    ("statement", "says"),
    [
        ("ALTER TABLE accounts_notice DROP COLUMN name", "accounts_notice lacks column name varchar(40)"),
        ("ALTER TABLE accounts_notice ADD COLUMN extra integer", "accounts_notice has column extra integer NULL"),
        ("CREATE UNIQUE INDEX one_name ON accounts_notice (name)", "accounts_notice has unique (name)"),
        ("DROP TABLE audit_posting", "the table audit_posting is missing"),
    ],
)
def test_an_altered_table_is_found(statement: str, says: str) -> None:
    execute(statement)
    assert says in differences_of(re.findall("[a-z]+_[a-z]+", says)[0])


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER TABLE accounts_user ALTER COLUMN email DROP NOT NULL", "column email varchar(254) NULL"),
        ("ALTER TABLE accounts_user ALTER COLUMN email TYPE text", "column email text"),
        ("ALTER TABLE audit_entry ALTER COLUMN record DROP NOT NULL", "column record NULL"),
    ],
)
def test_an_altered_column_is_found_on_postgresql(statement: str, says: str, store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite alters no columns")
    execute(statement)
    table = statement.split()[2]
    assert f"{table} has {says}" in differences_of(table)


@pytest.mark.parametrize("kind", ["unique", "foreign key", "check"])
def test_a_constraint_that_was_dropped_is_found_on_postgresql(kind: str, store: str) -> None:
    if store == "sqlite":
        pytest.skip("SQLite drops no constraints")
    letter = {"unique": "u", "foreign key": "f", "check": "c"}[kind]
    with connection.cursor() as cursor:
        query = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = %s ORDER BY conname"
        cursor.execute(f"{query} LIMIT 1", [letter])
        ((table, name),) = cursor.fetchall()
    execute("SET CONSTRAINTS ALL IMMEDIATE", f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    (difference,) = differences_of(table)
    assert difference.startswith(f"{table} lacks {kind} ")


def as_edited(attribute: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    field = User._meta.get_field("email")
    return lambda patch: patch.setattr(field, attribute, value)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (as_edited("null", True), "accounts_user lacks column email varchar(254) NULL"),
        (as_edited("max_length", 99), "accounts_user lacks column email varchar(99)"),
        (as_edited("unique", False), "accounts_user has unique (email)"),
        (as_edited("column", "address"), "accounts_user lacks unique (address)"),
    ],
)
def test_a_model_that_states_something_else_is_found(
    edit: Callable[[pytest.MonkeyPatch], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(monkeypatch)
    assert says in differences_of("accounts_user")


def test_constraints_and_indexes_with_conditions_are_known_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    constraint = next(each for each in Consent._meta.constraints if getattr(each, "condition", None))
    execute(f'DROP INDEX "{constraint.name}"')
    assert differences_of("consent_consent") == [f"consent_consent lacks unique {constraint.name}"]


def test_many_differences_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "differences", lambda: (f"a{number}" for number in range(12)))
    status, text = found_by(database.check_schema)
    assert status is PROBLEM
    assert ": a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, and 2 more. " in text


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
