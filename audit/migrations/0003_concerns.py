"""An entry may concern several organizations: whose log holds it is a table, no longer a column."""

import django.db.models.deletion
from django.db import migrations, models

from audit.triggers import install_statements, remove_statements

BEFORE = ("audit_entry", "audit_pendingentry", "audit_leaf")
AFTER = ("audit_entry", "audit_concern", "audit_pendingentry", "audit_leaf")


def protect(tables):
    def run(apps, schema_editor):
        for statement in install_statements(schema_editor.connection.vendor, tables):
            schema_editor.execute(statement, params=None)

    return run


def unprotect(tables):
    def run(apps, schema_editor):
        for statement in remove_statements(schema_editor.connection.vendor, tables):
            schema_editor.execute(statement, params=None)

    return run


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_insert_only")]

    operations = [
        # SQLite may copy a table to alter it, which would lose its triggers.
        migrations.RunPython(unprotect(BEFORE), protect(BEFORE)),
        migrations.CreateModel(
            name="Concern",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id",
                        "entry_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("organization_id", models.CharField(max_length=64)),
                (
                    "entry",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="concerns",
                        to="audit.entry",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        migrations.RemoveIndex(model_name="entry", name="audit_entry_organiz_c7ac42_idx"),
        migrations.RemoveField(model_name="entry", name="organization_id"),
        migrations.RemoveField(model_name="pendingentry", name="organization_id"),
        migrations.RunPython(protect(AFTER), unprotect(AFTER)),
    ]
