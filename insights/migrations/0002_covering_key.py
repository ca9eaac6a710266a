from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

KEY = "edition, organization_id, agent_id, kind, unit, start, value"


def cover(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the number to the index of the primary key, so that PostgreSQL adds up past days without reading the table.

    Otherwise it reads the whole table, with the rows of all organizations, for the pages of one with many agents. In
    return, each change of a number, in rows of the present hour and day, adds an entry to the index.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"""
            ALTER TABLE insights_rollup DROP CONSTRAINT insights_rollup_pkey,
                ADD CONSTRAINT insights_rollup_pkey PRIMARY KEY ({KEY}) INCLUDE (number)
        """)


class Migration(migrations.Migration):
    dependencies = [("insights", "0001_initial")]

    operations = [migrations.RunPython(cover, migrations.RunPython.noop)]
