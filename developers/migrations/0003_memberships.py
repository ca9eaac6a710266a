import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    dependencies = [
        ("developers", "0002_organization_profile"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="inv", primary_key=True, serialize=False
                    ),
                ),
                ("email", core.fields.ExactCharField(db_index=True, max_length=254)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "Owner"),
                            ("admin", "Admin"),
                            ("developer", "Developer"),
                            ("auditor", "Auditor"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("accepted", "Accepted"),
                            ("declined", "Declined"),
                            ("revoked", "Revoked"),
                            ("expired", "Expired"),
                            ("replaced", "Replaced"),
                        ],
                        default="pending",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="agent_ids",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="developers.developer",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="role",
            field=models.CharField(
                choices=[("owner", "Owner"), ("admin", "Admin"), ("developer", "Developer"), ("auditor", "Auditor")],
                db_default="owner",
                default="owner",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="developer",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="developer",
            name="last_active_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="developer",
            name="role",
            field=models.CharField(
                choices=[("owner", "Owner"), ("admin", "Admin"), ("developer", "Developer"), ("auditor", "Auditor")],
                db_default="owner",
                default="owner",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="organization",
            name="deleted_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="deletes_at",
            field=models.DateTimeField(blank=True, db_index=True, null=True),
        ),
        # On SQLite, Django would make the table anew, which triggers name.
        migrations.RunSQL(
            "ALTER TABLE developers_organization ADD COLUMN stop_reason varchar(300) DEFAULT '' NOT NULL",
            "ALTER TABLE developers_organization DROP COLUMN stop_reason",
            state_operations=[
                migrations.AddField(
                    model_name="organization",
                    name="stop_reason",
                    field=models.CharField(blank=True, db_default="", max_length=300),
                )
            ],
        ),
        migrations.AddField(
            model_name="organization",
            name="stopped_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="developer",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="api_keys",
                to="developers.developer",
            ),
        ),
        migrations.AlterField(
            model_name="developer",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="developers", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="developer",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None)), fields=("user", "organization"), name="one_membership"
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="invited_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="developers.developer"
            ),
        ),
        migrations.AddField(
            model_name="invitation",
            name="organization",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="developers.organization"
            ),
        ),
        migrations.AddIndex(
            model_name="invitation",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["expires_at"], name="open_invitations_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "pending")), fields=("organization", "email"), name="one_open_invitation"
            ),
        ),
    ]
