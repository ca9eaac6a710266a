"""Compares the tables of the database with the models, and the triggers with those that migrations install.

Each table is a set of facts, such as `column email varchar(254)` and `unique (email)`, read from the catalog of the
database and once more from the model. The conditions of partial indexes and the texts of CHECK constraints are not
compared, because databases rewrite them.

Django records the names of migrations, not what they did. If one was edited later, a table can lack what it makes now.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

type Model = type[models.Model]
type Facts = set[str]

COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod), NOT attnotnull
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p') AND pg_table_is_visible(attrelid)
"""
# Raw SQL makes this table (audit/database/schema.py), with types of its own and the month in its keys on PostgreSQL.
BY_HAND = "audit_entry"
KEYS_BY_HAND = {
    "postgresql": {"primary key (leaf_index, month)", "unique (id, month)"},
    "sqlite": {"primary key (leaf_index)", "unique (id)"},
}


def differences() -> Iterator[str]:
    """Yield what a table lacks or should not have, such as `accounts_user lacks unique (email)`.

    Indexes that no model has are ignored: an administrator may have added them, and they break nothing.
    """
    with connection.cursor() as cursor:
        columns = _columns(cursor)
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            if not model._meta.managed or model._meta.proxy:
                continue
            if table not in columns:
                yield f"the table {table} is missing"
                continue
            expected, found = _expected(model), columns[table] | _constraints(cursor, model)
            yield from (f"{table} lacks {fact}" for fact in sorted(expected - found))
            yield from (f"{table} has {fact}" for fact in sorted(found - expected) if not fact.startswith("index"))


def _columns(cursor: CursorWrapper) -> dict[str, Facts]:
    """Return the facts about the columns of each table."""
    found: dict[str, Facts] = {}
    for table, *column in _postgresql_columns(cursor) if _is_postgresql() else _sqlite_columns(cursor):
        found.setdefault(table, set()).add(_column(table, *column))
    return found


def _postgresql_columns(cursor: CursorWrapper) -> Iterator[tuple[Any, ...]]:
    cursor.execute(COLUMNS)
    yield from cursor.fetchall()


def _sqlite_columns(cursor: CursorWrapper) -> Iterator[tuple[Any, ...]]:
    for table in connection.introspection.table_names(cursor):
        for each in connection.introspection.get_table_description(cursor, table):
            yield table, each.name, each.type_code, each.null_ok


def _column(table: str, name: str, kind: str | None, null: bool) -> str:
    short = (kind or "").lower().replace("character varying", "varchar").replace(", ", ",")
    if name == "id":  # the migrations of django.contrib.auth make its own wider than its models state
        short = short.replace("bigint", "integer")
    return f"column {name}{'' if table == BY_HAND else f' {short}'}{' NULL' if null else ''}"


def _constraints(cursor: CursorWrapper, model: Model) -> Facts:
    """Return the facts about the keys, constraints and indexes of a table in the database."""
    found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    names = {each.name for each in (*model._meta.indexes, *model._meta.constraints) if _is_known_by_name(each)}
    return {_constraint(name if name in names else "", **facts) for name, facts in found.items()}


def _constraint(name: str, *, columns: list[str], foreign_key: Any = None, **is_a: Any) -> str:
    kind = next((each for each in ("primary_key", "unique", "check") if is_a[each]), "index").replace("_", " ")
    if foreign_key:
        return f"foreign key ({columns[0]}) to {'.'.join(foreign_key)}"
    if name:
        return f"{kind} {name}"
    orders = [f" {order}" if order == "DESC" else "" for order in is_a.get("orders") or ()] or [""] * len(columns)
    named = [f"{column}{order}" for column, order in zip(columns, orders, strict=True)]
    # SQLite names the column of a check once for each time that the check does.
    return f"{kind} ({', '.join(sorted(set(named)) if kind == 'check' else named)})"


def _is_known_by_name(each: Any) -> bool:
    """Return whether the columns do not say what it is: it has a condition or expressions."""
    return bool(isinstance(each, models.CheckConstraint) or getattr(each, "condition", None) or each.expressions)


def _expected(model: Model) -> Facts:
    """Return the facts that the database has after the migrations, if these have made what the model states."""
    meta = model._meta
    facts = {fact for field in meta.local_concrete_fields for fact in _of_field(meta.db_table, field)}
    if meta.db_table == BY_HAND:
        return {fact for fact in facts if fact.startswith("column")} | KEYS_BY_HAND[connection.vendor]
    facts.add(f"primary key ({', '.join(field.column for field in meta.pk_fields)})")
    facts |= {f"unique ({_listed(model, names)})" for names in meta.unique_together}
    return facts | {_of_meta(model, each) for each in (*meta.indexes, *meta.constraints)}


def _of_field(table: str, field: Any) -> Iterator[str]:
    yield _column(table, field.column, field.db_type(connection), field.null)
    if field.db_check(connection):
        yield f"check ({field.column})"
    if field.remote_field and field.db_constraint:
        target = field.target_field
        yield f"foreign key ({field.column}) to {target.model._meta.db_table}.{target.column}"
    if field.unique and not field.primary_key:
        yield f"unique ({field.column})"
    elif field.db_index and not field.unique:
        yield f"index ({field.column})"


def _of_meta(model: Model, each: Any) -> str:
    kind = "check" if isinstance(each, models.CheckConstraint) else "unique"
    kind = "index" if isinstance(each, models.Index) else kind
    return f"{kind} {each.name}" if _is_known_by_name(each) else f"{kind} ({_listed(model, each.fields)})"


def _listed(model: Model, names: Any) -> str:
    """Return the columns of fields. `-name` stands for descending order."""
    fields = [(model._meta.get_field(name.lstrip("-")), name.startswith("-")) for name in names]
    return ", ".join(f"{field.column}{' DESC' if descends else ''}" for field, descends in fields)  # type: ignore[union-attr]


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"
