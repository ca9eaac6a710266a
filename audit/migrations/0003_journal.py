"""Add the journal. It is insert-only, except that the sequencer deletes what it has copied."""

from django.db import migrations, models

from audit.triggers import install_journal_statements, remove_journal_statements

# Compressing would cost the decisions more than it saves, because rows stay for less than a second.
STORAGE = "ALTER TABLE audit_journal ALTER COLUMN body SET STORAGE EXTERNAL"


def set_storage(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(STORAGE)


def install(apps, schema_editor):
    for statement in install_journal_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in remove_journal_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_insert_only")]
    operations = [
        migrations.CreateModel(
            name="Journal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("body", models.BinaryField()),
            ],
            options={"verbose_name_plural": "journal"},
        ),
        migrations.RunPython(set_storage, migrations.RunPython.noop),
        migrations.RunPython(install, remove),
    ]
