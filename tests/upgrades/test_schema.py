"""The comparison of an upgraded database with the models finds what differs."""

import pytest
from django.db import connection

from consent.models import Consent
from tests.shared import cases
from tests.upgrades import schema

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_new_database_has_no_differences() -> None:
    assert list(schema.differences()) == []


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
    assert says in list(schema.differences())


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
    assert f"{table} has {says}" in list(schema.differences())


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
    (difference,) = schema.differences()
    assert difference.startswith(f"{table} lacks {kind} ")


def test_constraints_and_indexes_with_conditions_are_known_by_their_names() -> None:
    constraint = next(each for each in Consent._meta.constraints if getattr(each, "condition", None))
    execute(f'DROP INDEX "{constraint.name}"')
    assert list(schema.differences()) == [f"consent_consent lacks unique {constraint.name}"]
