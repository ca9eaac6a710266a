"""Columns whose values are looked up exactly or by prefix: ids, digests, identifiers and addresses. And packed ones."""

import zlib
from collections.abc import Collection
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler

if TYPE_CHECKING:
    _Base = models.CharField[Any, Any]
else:
    _Base = object


class ExactMixin(_Base):
    """Compare values byte by byte on PostgreSQL, so that one index serves equality, order and prefixes.

    Django gives each indexed `varchar` a second index, because one in the order of a language does not serve prefixes.
    It does not recognize the other name of the type. Foreign keys get the type and the collation of their target.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        name = super().db_type(connection)
        return name.replace("varchar", "character varying", 1) if name and _is_postgresql(connection) else name

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)
        return {**parameters, "collation": "C"} if _is_postgresql(connection) else parameters


class ExactCharField(ExactMixin, models.CharField):  # type: ignore[type-arg]  # generic only in the stubs
    """A `CharField` for ids, digests and other identifiers."""


class RandomVersionField(ExactCharField):
    """32 random hexadecimal digits, replaced by each save, so that saving a stale object never restores an old version.

    Read it only from the database: triggers replace it too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "max_length": 32, "db_default": "", "editable": False})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        version = token_hex(16)
        setattr(model_instance, self.attname, version)
        return version


class ExactEmailField(ExactMixin, models.EmailField):  # type: ignore[type-arg]
    """An `EmailField` for normalized addresses."""


class PackedJSONField(models.BinaryField):  # type: ignore[type-arg]
    """JSON that is long, full of repetitions, and never searched. It takes about a quarter of the space."""

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return None if value is None else orjson.loads(zlib.decompress(value))

    def get_prep_value(self, value: Any) -> bytes | None:
        return None if value is None else zlib.compress(orjson.dumps(value))

    def value_to_string(self, obj: models.Model) -> str:
        return orjson.dumps(self.value_from_object(obj)).decode()

    def to_python(self, value: Any) -> Any:
        return orjson.loads(value) if isinstance(value, str) else value


def _is_postgresql(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor == "postgresql"


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
