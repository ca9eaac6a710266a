"""The log cannot be changed through the ORM, the admin site or SQL."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.db.models import Model
from django.test import RequestFactory

from audit.models import Checkpoint, Entry, ImmutableError, Journal, Tile
from tests.administration.world import World
from tests.shared import cases

pytestmark = pytest.mark.postgresql

# The column of each table that the tests try to change.
COLUMNS: dict[Any, str] = {
    Entry: "event",
    Journal: "body",
    Tile: "root",
    Checkpoint: "note",
}
REFUSED = "insert-only"
EVIDENCE = list(COLUMNS)
ORM: dict[str, Callable[[Any], Any]] = {
    "save": lambda row: row.save(),
    "delete": lambda row: row.delete(),
    "update of many": lambda row: type(row).objects.update(**{COLUMNS[type(row)]: "x"}),
    "delete of many": lambda row: type(row).objects.all().delete(),
    "bulk update": lambda row: type(row).objects.bulk_update([row], [COLUMNS[type(row)]]),
}
SQL = ["UPDATE {} SET {} = 'x'", "DELETE FROM {}"]
ORM_CASES = [(model, way) for model in EVIDENCE for way in ORM]


@cases(("model", "way"), ORM_CASES)
def test_the_orm_refuses(model: type[Model], way: str, world: World) -> None:
    row = model._default_manager.all()[0]

    with pytest.raises(ImmutableError):
        ORM[way](row)


@cases("statement", SQL)
@cases("model", EVIDENCE)
def test_the_database_refuses(model: type[Model], statement: str, world: World) -> None:
    table, before = model._meta.db_table, list(model._default_manager.values_list())

    with (
        pytest.raises(DatabaseError, match=REFUSED),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table, COLUMNS[model]))

    assert list(model._default_manager.values_list()) == before


def test_the_admin_site_cannot_write(world: World) -> None:
    request, page = RequestFactory().get("/"), admin.site._registry[Entry]
    request.user = world.administrator
    row = Entry.objects.all()[0]

    assert page.has_view_permission(request, row)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request, row)
    assert not page.has_delete_permission(request, row)
    assert page.get_actions(request) == {}
