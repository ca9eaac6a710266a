"""The log cannot be changed: not through the ORM, not through the admin site, not through SQL."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import DatabaseError, connection, transaction
from django.db.models import Model
from django.test import RequestFactory

from audit.models import Entry, ImmutableError, Leaf, PendingEntry, PersonalData
from tests.admin.world import World

EVIDENCE = [Entry, PendingEntry, Leaf]
ORM: dict[str, Callable[[Any], Any]] = {
    "save": lambda row: row.save(),
    "delete": lambda row: row.delete(),
    "update of many": lambda row: type(row).objects.update(organization_id="org_x"),
    "delete of many": lambda row: type(row).objects.all().delete(),
    "bulk update": lambda row: type(row).objects.bulk_update([row], ["organization_id"]),
}
SQL = ["UPDATE {} SET organization_id = 'org_x'", "DELETE FROM {}"]


@pytest.mark.parametrize("way", ORM)
@pytest.mark.parametrize("model", EVIDENCE)
def test_the_orm_refuses(model: type[Model], way: str, world: World) -> None:
    row = model._default_manager.all()[0]

    with pytest.raises(ImmutableError):
        ORM[way](row)


@pytest.mark.parametrize("statement", SQL)
@pytest.mark.parametrize("model", EVIDENCE)
def test_the_database_refuses(model: type[Model], statement: str, world: World) -> None:
    table, before = model._meta.db_table, list(model._default_manager.values_list())

    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))

    assert list(model._default_manager.values_list()) == before


@pytest.mark.parametrize("model", [*EVIDENCE, PersonalData])
def test_the_admin_site_lets_nobody_write_it(model: type[Model], world: World) -> None:
    request, page = RequestFactory().get("/"), admin.site._registry[model]
    request.user = world.administrator
    row = model._default_manager.all()[0]

    assert page.has_view_permission(request, row)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request, row)
    assert not page.has_delete_permission(request, row)
    assert page.get_actions(request) == {}
