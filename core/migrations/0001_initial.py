from django.db import migrations, models

import core.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                ("key", core.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ("request_digest", core.fields.ExactCharField(max_length=64)),
                ("sealed_answer", models.BinaryField(null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="TaskRun",
            fields=[
                ("name", core.fields.ExactCharField(max_length=100, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                ("result", models.BigIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=200)),
                ("failed_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "background task",
            },
        ),
    ]
