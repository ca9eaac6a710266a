import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("consent", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.OAUTH2_PROVIDER_APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Approval",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="apr", primary_key=True, serialize=False
                    ),
                ),
                ("server_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("named_server_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("audience", models.JSONField(default=list)),
                ("organization_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("service_organization_id", core.fields.ExactCharField(max_length=64, null=True)),
                ("digest", core.fields.ExactCharField(max_length=64)),
                ("target_digest", core.fields.ExactCharField(max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("expired", "Expired"),
                            ("used", "Used"),
                        ],
                        default="pending",
                        max_length=8,
                    ),
                ),
                ("is_standing", models.BooleanField(default=False)),
                ("evidence", models.JSONField(blank=True, null=True)),
                ("is_critical", models.BooleanField(default=False)),
                ("is_held", models.BooleanField(default=False)),
                ("asked_scopes", models.JSONField(default=list)),
                ("asked_by_rule", models.CharField(blank=True, max_length=100)),
                ("scopes", models.JSONField()),
                ("action", models.TextField(blank=True)),
                ("resource", models.TextField(blank=True)),
                ("context", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("notified_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approvals",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "consent",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approvals",
                        to="consent.consent",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="approvals",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["user", "id"], name="approvals_a_user_id_b8b0e2_idx"),
                    models.Index(fields=["digest"], name="approvals_a_digest_13e596_idx"),
                    models.Index(
                        condition=models.Q(("is_standing", True)),
                        fields=["target_digest"],
                        name="approval_standing_idx",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ["pending", "approved"])),
                        fields=["expires_at"],
                        name="approval_live_idx",
                    ),
                    models.Index(
                        condition=models.Q(("status__in", ["denied", "expired", "used"])),
                        fields=["expires_at"],
                        name="approval_ended_idx",
                    ),
                    models.Index(
                        condition=models.Q(("status", "pending")),
                        fields=["user", "expires_at"],
                        name="approval_waiting_idx",
                    ),
                    models.Index(
                        condition=models.Q(("notified_at__isnull", True), ("status", "pending")),
                        fields=["created_at"],
                        name="approval_unnotified_idx",
                    ),
                ],
            },
        ),
    ]
