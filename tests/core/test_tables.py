"""What the migrations make on each database."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import Field, Model

from core import clock
from core.fields import ExactMixin
from limits.counters import take_all
from limits.sliding_window import CounterRequest

pytestmark = pytest.mark.postgresql

# SQL of PostgreSQL. Its catalogue also says which indexes Django adds on its own.
INDEXES = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public'"
BYTEWISE = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND (collation_name = 'C' OR data_type = 'uuid')
"""
OURS = ("accounts", "agents", "approvals", "audit", "consent", "core", "developers", "insights", "limits", "policies")
OURS += ("resources", "tokens")


@pytest.fixture
def postgresql(store: str) -> None:
    if store != "postgresql":
        pytest.skip("about PostgreSQL")


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def our_models() -> list[type[Model]]:
    return [model for app in OURS for model in apps.get_app_config(app).get_models()]


def exact_columns() -> set[tuple[str, str]]:
    """Return table and column of all exact fields and of the foreign keys that point to one."""

    def is_exact(field: Field) -> bool:
        return isinstance(field.target_field if field.is_relation else field, ExactMixin)

    fields = [(model, field) for model in our_models() for field in model._meta.concrete_fields if field.column]
    return {(model._meta.db_table, field.column) for model, field in fields if is_exact(field)}


@pytest.mark.django_db
@pytest.mark.usefixtures("postgresql")
def test_no_column_has_a_second_index_for_prefixes() -> None:
    found = [(table, index) for table, index in rows(INDEXES) if table.partition("_")[0] in OURS]
    assert len(found) > 50
    assert [index for _, index in found if index.endswith("_like")] == []


@pytest.mark.django_db
@pytest.mark.usefixtures("postgresql")
def test_ids_and_digests_are_compared_byte_by_byte_and_so_are_references_to_them() -> None:
    bytewise = set(rows(BYTEWISE))
    assert {("tokens_accesstoken", "family_id"), ("account_emailaddress", "user_id")} <= bytewise
    assert exact_columns() - bytewise == set()


@pytest.mark.django_db
def test_no_index_repeats_the_first_columns_of_another() -> None:
    """Those of some rows only do not count: they serve no search of all rows."""
    with connection.cursor() as cursor:
        for model in our_models():
            parts = {one.name for one in (*model._meta.constraints, *model._meta.indexes) if one.condition}
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
            constraints = [one for name, one in found.items() if name not in parts]
            indexes = [tuple(one["columns"]) for one in constraints if one["index"] or one["unique"]]
            indexes = [columns for columns in indexes if columns]  # an index of an expression has none
            for longer in indexes:
                assert not [one for one in indexes if one != longer and one == longer[: len(one)]], model


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("postgresql")
def test_counting_updates_counters_in_place() -> None:
    """A heap-only update writes no index. The page needs room for it, and no indexed column may change."""
    now = clock.now()
    calls = [[CounterRequest(f"key {number}", 3600, 10**6) for number in range(3)]]
    with transaction.atomic():
        take_all(calls, lambda: now)
    with transaction.atomic():
        before = counter_updates()
        take_all(calls, lambda: now)
        total, in_place = (after - earlier for after, earlier in zip(counter_updates(), before, strict=True))
    assert total >= 3
    assert in_place == total


@pytest.mark.django_db
@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize(("table", "percent"), [("limits_counter", 50), ("audit_stream", 70)])
def test_pages_of_rows_that_change_often_have_room_for_updates(table: str, percent: int) -> None:
    assert rows(f"SELECT reloptions FROM pg_class WHERE relname = '{table}'") == [([f"fillfactor={percent}"],)]


def counter_updates() -> tuple[int, int]:
    """Return how many counters this connection has updated lately, and how many of them in place."""
    sql = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'limits_counter'"
    ((total, in_place),) = rows(sql)
    return total, in_place
