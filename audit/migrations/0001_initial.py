import django.db.models.functions.datetime
from django.db import migrations, models

import audit.fields
import core.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Archive",
            fields=[
                ("month", models.IntegerField(primary_key=True, serialize=False)),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("checkpoint", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("writing", "Writing"),
                            ("written", "Written"),
                            ("verified", "Verified"),
                            ("pruned", "Pruned"),
                        ],
                        max_length=8,
                    ),
                ),
                ("manifest", models.CharField(blank=True, max_length=64)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["month"],
            },
        ),
        migrations.CreateModel(
            name="ArchivedObject",
            fields=[
                ("first", models.BigIntegerField(primary_key=True, serialize=False)),
                ("last", models.BigIntegerField()),
                ("month", models.IntegerField()),
                ("lowest", models.UUIDField()),
                ("highest", models.UUIDField()),
                ("size", models.IntegerField()),
                ("sha256", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["first"],
            },
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
                ("note", models.TextField()),
            ],
            options={
                "ordering": ["-size"],
            },
        ),
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "size", "witness", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("size", models.BigIntegerField()),
                ("witness", models.CharField(max_length=255)),
                ("line", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="Journal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("body", models.BinaryField()),
                ("written_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "journal",
            },
        ),
        migrations.CreateModel(
            name="LogKey",
            fields=[
                ("secret_id", core.fields.ExactCharField(max_length=32, primary_key=True, serialize=False)),
                ("origin", models.CharField(max_length=255)),
                ("public", models.BinaryField()),
                ("private_sealed", models.BinaryField()),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("streams_size", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("number", models.IntegerField(primary_key=True, serialize=False)),
                ("earliest", models.DateTimeField()),
                ("latest", models.DateTimeField()),
                ("timestamps", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Stream",
            fields=[
                ("id", core.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ("number", models.BigIntegerField()),
                ("allowed", models.BigIntegerField()),
                ("denied", models.BigIntegerField()),
                ("spent", models.TextField()),
                ("used_at", models.DateTimeField(null=True)),
                ("uses", models.TextField(default="{}")),
            ],
        ),
        migrations.CreateModel(
            name="Tile",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.SmallIntegerField()),
                ("number", models.BigIntegerField()),
                ("hashes", models.BinaryField()),
                ("root", models.BinaryField()),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="WitnessFailure",
            fields=[
                ("witness", core.fields.ExactCharField(max_length=255, primary_key=True, serialize=False)),
                ("is_refusal", models.BooleanField()),
                ("reason", models.TextField()),
                ("since", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PersonalKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subject", "secret_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject", core.fields.ExactCharField(max_length=80)),
                ("secret_id", core.fields.ExactCharField(max_length=32)),
                ("month", models.IntegerField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("created_at", models.DateTimeField()),
                ("destroyed_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("destroyed_at", None)), fields=["month"], name="audit_keys_growing_old_idx"
                    )
                ],
            },
        ),
        # `audit.database.schema` creates their tables.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Entry",
                    fields=[
                        (
                            "id",
                            audit.fields.CompactIdField(
                                editable=False, max_length=64, prefix="log", primary_key=True, serialize=False
                            ),
                        ),
                        ("leaf_index", models.BigIntegerField(unique=True)),
                        ("month", models.IntegerField()),
                        ("timestamp", models.DateTimeField()),
                        ("event", models.CharField(max_length=64)),
                        ("outcome", models.CharField(max_length=8)),
                        ("user_id", core.fields.ExactCharField(max_length=64, null=True)),
                        ("agent_id", core.fields.ExactCharField(max_length=64, null=True)),
                        ("consent_id", core.fields.ExactCharField(max_length=64, null=True)),
                        ("organizations", models.TextField()),
                        ("record", models.BinaryField()),
                        ("opening", models.BinaryField()),
                        ("sealed", models.BinaryField(null=True)),
                    ],
                    options={
                        "verbose_name_plural": "entries",
                        "ordering": ["-leaf_index"],
                    },
                ),
                migrations.CreateModel(
                    name="Posting",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "term", "segment", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("term", models.BigIntegerField()),
                        ("segment", models.IntegerField()),
                        ("entries", models.BinaryField()),
                    ],
                ),
            ]
        ),
    ]
