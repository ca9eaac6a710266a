from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import core.fields


def leave_room(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Leave half of each page free, so that PostgreSQL keeps a counter's next version beside the last one."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE limits_counter SET (fillfactor = 50)")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("key", core.fields.ExactCharField(max_length=200, primary_key=True, serialize=False)),
                ("slot", models.BigIntegerField()),
                ("counts", models.BinaryField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.RunPython(leave_room, migrations.RunPython.noop),
    ]
