"""Install triggers that reject every UPDATE, DELETE and TRUNCATE of the log."""

from django.db import migrations

from audit.triggers import install_statements, remove_statements

TABLES = ("audit_entry", "audit_concern", "audit_pendingentry", "audit_leaf")


def install(apps, schema_editor):
    for statement in install_statements(schema_editor.connection.vendor, TABLES):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in remove_statements(schema_editor.connection.vendor, TABLES):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
