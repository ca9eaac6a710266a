from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLE = "insights_rollup"
KEY = "edition, organization_id, agent_id, kind, unit, start, value"


def keep_numbers_with_keys(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Store the number in the index of the primary key, so that pages add up past days without reading the table, too.

    Otherwise PostgreSQL reads the whole table, with the rows of all organizations, for the pages of one with many
    agents, and SQLite looks up each row. On PostgreSQL each change of a number, in rows of the present hour and day,
    then adds an entry to the index. On SQLite the index is the table, which takes a third less space. Django makes a
    table anew to change its columns there: such a migration has to call this again.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"""
            ALTER TABLE {TABLE} DROP CONSTRAINT {TABLE}_pkey,
                ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY ({KEY}) INCLUDE (number)
        """)
    else:
        _make_anew(schema_editor)


def _make_anew(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make SQLite's table and its index anew, with the rows of the table in its primary key."""
    with schema_editor.connection.cursor() as cursor:
        found = "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND type = %s AND sql IS NOT NULL"
        table, indexes = (cursor.execute(found, [TABLE, kind]).fetchall() for kind in ("table", "index"))
    former = f"{TABLE}_former"
    schema_editor.execute(f"ALTER TABLE {TABLE} RENAME TO {former}")
    schema_editor.execute(f"{table[0][0]} WITHOUT ROWID")
    schema_editor.execute(f"INSERT INTO {TABLE} SELECT * FROM {former}")  # noqa: S608
    schema_editor.execute(f"DROP TABLE {former}")
    for (statement,) in indexes:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("insights", "0001_initial")]

    operations = [migrations.RunPython(keep_numbers_with_keys, migrations.RunPython.noop)]
