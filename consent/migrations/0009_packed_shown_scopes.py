from django.db import migrations

import core.fields


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0007_shown_services"),
    ]

    operations = [
        migrations.RemoveField(model_name="consent", name="shown_scopes"),
        migrations.AddField(
            model_name="consent",
            name="shown_scopes",
            field=core.fields.PackedJSONField(default=list),
        ),
    ]
