"""Install the triggers that reject changes of the log, and set how PostgreSQL stores the tables that change fast."""

from django.db import migrations

from audit.triggers import install_statements, remove_statements

STORAGE = (
    # Compressing would cost the decisions more than it saves, because rows stay for less than a second.
    "ALTER TABLE audit_journal ALTER COLUMN body SET STORAGE EXTERNAL",
    # Updates find room on the row's own page, so they change no index.
    "ALTER TABLE audit_lastuse SET (fillfactor = 50)",
)


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for statement in STORAGE:
            schema_editor.execute(statement)


def install(apps, schema_editor):
    for statement in install_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in remove_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        migrations.RunPython(set_storage, migrations.RunPython.noop),
        migrations.RunPython(install, remove),
    ]
