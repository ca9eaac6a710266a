"""Create the tables that Django cannot describe, and the triggers that reject changes of the log."""

from django.db import migrations

from audit.database.schema import create_statements, drop_statements
from audit.database.triggers import install_statements, remove_statements


def run(schema_editor, statements):
    for statement in statements:
        schema_editor.execute(statement, params=None)


def create(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    run(schema_editor, create_statements(vendor))
    run(schema_editor, install_statements(vendor))


def drop(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    run(schema_editor, remove_statements(vendor))
    run(schema_editor, drop_statements(vendor))


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
