"""The number of a roll-up is stored with its key, so that pages add up past days from one index alone."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from insights.models import RollUp
from insights.services import count_log
from tests.insights.logs import counted, counts_of_raw_log, log_entries

pytestmark = pytest.mark.postgresql

MIGRATION = import_module("insights.migrations.0002_covering_key")
STATEMENT = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'insights_rollup'",
    "postgresql": "SELECT pg_get_indexdef('insights_rollup_pkey'::regclass)",
}
INDEXES = "SELECT sql FROM sqlite_master WHERE tbl_name = 'insights_rollup' AND type = 'index'"
END = {"sqlite": " WITHOUT ROWID", "postgresql": " INCLUDE (number)"}


def statements(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [statement for (statement,) in cursor.fetchall() if statement]


def has_number_with_key() -> bool:
    (statement,) = statements(STATEMENT[connection.vendor])
    return statement.endswith(END[connection.vendor])


@pytest.mark.django_db
def test_the_number_is_stored_with_the_key() -> None:
    assert has_number_with_key()


@pytest.mark.django_db(transaction=True)
def test_a_table_that_django_remade_gets_its_form_and_keeps_its_rows() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Django remakes only tables of SQLite")
    log_entries(40)
    count_log()
    indexes = statements(INDEXES)
    with connection.schema_editor() as editor:
        editor._remake_table(RollUp)
    assert not has_number_with_key()

    for _ in range(2):  # the second time it changes nothing
        with connection.schema_editor() as editor:
            MIGRATION.keep_numbers_with_keys(apps, editor)

    assert has_number_with_key()
    assert counted() == counts_of_raw_log()
    assert statements(INDEXES) == indexes
    log_entries(40, seed=2)
    count_log()
    assert counted() == counts_of_raw_log()
