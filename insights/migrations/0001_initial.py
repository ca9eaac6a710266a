from django.db import migrations, models

import core.fields


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Edition",
            fields=[
                ("id", models.IntegerField(primary_key=True, serialize=False)),
                ("counted", models.BigIntegerField(default=0)),
                ("last_at", models.DateTimeField(null=True)),
                ("is_used", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_used", True)), fields=("is_used",), name="insights_one_edition_is_used"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RollUp",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "edition",
                        "organization_id",
                        "agent_id",
                        "kind",
                        "unit",
                        "start",
                        "value",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("edition", models.IntegerField()),
                ("organization_id", core.fields.ExactCharField(max_length=64)),
                ("agent_id", core.fields.ExactCharField(blank=True, max_length=64)),
                (
                    "kind",
                    core.fields.ExactCharField(
                        choices=[
                            ("decision", "Decision"),
                            ("agent", "Agent"),
                            ("scope", "Scope"),
                            ("rule", "Rule"),
                            ("denial", "Denial"),
                            ("consent", "Consent"),
                            ("asked", "Asked"),
                            ("declined", "Declined"),
                            ("rows", "Rows"),
                        ],
                        max_length=8,
                    ),
                ),
                ("unit", core.fields.ExactCharField(choices=[("hour", "Hour"), ("day", "Day")], max_length=4)),
                ("start", models.DateTimeField()),
                ("value", core.fields.ExactCharField(max_length=300)),
                ("number", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["unit", "start"], name="insights_growing_old_idx")],
            },
        ),
    ]
