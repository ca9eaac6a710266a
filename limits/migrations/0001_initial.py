from django.db import migrations, models

import core.fields
import core.ids


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
        migrations.CreateModel(
            name="Reservation",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="rsv", primary_key=True, serialize=False, unguessable=True
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "Held"),
                            ("committed", "Committed"),
                            ("voided", "Voided"),
                            ("lapsed", "Lapsed"),
                        ],
                        default="held",
                        max_length=9,
                    ),
                ),
                ("server_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("audit_id", core.fields.ExactCharField(max_length=64)),
                ("organization_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("service_organization_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("agent_id", core.fields.ExactCharField(max_length=64)),
                ("user_id", core.fields.ExactCharField(db_index=True, max_length=64, null=True)),
                ("consent_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("amount", models.CharField(blank=True, max_length=32)),
                ("final_amount", models.CharField(blank=True, max_length=32)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("holds", models.JSONField(default=list)),
                ("repeat_key", core.fields.ExactCharField(max_length=64, null=True)),
                ("repeat_place", models.SmallIntegerField(null=True)),
                ("repeat_digest", core.fields.ExactCharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(blank=True, db_index=True, null=True)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "held")), fields=["expires_at"], name="reservation_held_idx"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("repeat_key", "repeat_place"), name="reservation_repeat_key")
                ],
            },
        ),
    ]
