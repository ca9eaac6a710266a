"""Conditions on columns that hold a list of texts, as JSON or with a space between them, for both databases."""

from collections.abc import Collection
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler


class ListsAny(Func):
    """Whether the list in a column, which may be that of a joined row, has any of the items. Use it in `filter()`."""

    output_field = BooleanField()
    on_postgresql = "(%(expressions)s ?| ARRAY[%(items)s])"
    on_sqlite = "EXISTS (SELECT 1 FROM json_each(%(expressions)s) WHERE value IN (%(items)s))"

    def __init__(self, column: str, items: Collection[str]) -> None:
        super().__init__(F(column))
        self.items = sorted(items)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        template = self.on_postgresql if connection.vendor == "postgresql" else self.on_sqlite
        places = ", ".join(["%s"] * len(self.items))
        sql, params = super().as_sql(compiler, connection, template=template, items=places)
        return sql, (*params, *self.items)


class NamesAny(ListsAny):
    """The same of a column like OAuth's `scope`, whose texts have neither spaces, quotes nor backslashes (RFC 6749)."""

    on_postgresql = "(string_to_array(%(expressions)s, ' ') && ARRAY[%(items)s])"
    on_sqlite = (
        """EXISTS (SELECT 1 FROM json_each('["' || replace(%(expressions)s, ' ', '","') || '"]') """
        "WHERE value IN (%(items)s))"
    )
