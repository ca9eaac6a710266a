"""Conditions on columns that hold a JSON list of texts, for both databases."""

from collections.abc import Collection
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler

ON_POSTGRESQL = "(%(expressions)s ?| ARRAY[%(items)s])"
ON_SQLITE = "EXISTS (SELECT 1 FROM json_each(%(expressions)s) WHERE value IN (%(items)s))"


class ListsAny(Func):
    """Whether the list in a column, which may be that of a joined row, has any of the items. Use it in `filter()`."""

    output_field = BooleanField()

    def __init__(self, column: str, items: Collection[str]) -> None:
        super().__init__(F(column))
        self.items = sorted(items)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        template = ON_POSTGRESQL if connection.vendor == "postgresql" else ON_SQLITE
        places = ", ".join(["%s"] * len(self.items))
        sql, params = super().as_sql(compiler, connection, template=template, items=places)
        return sql, (*params, *self.items)
