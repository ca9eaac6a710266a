import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("developers", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.OAUTH2_PROVIDER_APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Consent",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="cns", primary_key=True, serialize=False, unguessable=True
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("approved", "Approved"),
                            ("denied", "Denied"),
                            ("expired", "Expired"),
                            ("revoked", "Revoked"),
                            ("replaced", "Replaced"),
                        ],
                        default="pending",
                        max_length=8,
                    ),
                ),
                ("hinted_user_id", core.fields.ExactCharField(blank=True, max_length=64)),
                ("requested_scopes", models.JSONField()),
                ("optional_scopes", models.JSONField(default=list)),
                ("redirect_uri", models.TextField()),
                ("state", models.TextField(blank=True)),
                ("code_challenge", models.CharField(blank=True, max_length=128)),
                ("resource", models.JSONField(default=list)),
                ("resource_owners", models.JSONField(default=dict)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("is_authenticated", models.BooleanField(default=False)),
                ("shown_scopes", core.fields.PackedJSONField(default=list)),
                ("shown_services", models.JSONField(default=list)),
                (
                    "door",
                    models.CharField(choices=[("link", "Link"), ("browser", "Browser")], default="link", max_length=8),
                ),
                ("browser_digest", core.fields.ExactCharField(blank=True, max_length=64)),
                ("authorization_details", models.JSONField(default=list)),
                ("granted_scopes", models.JSONField(default=list)),
                ("terms", models.JSONField(default=dict)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("replaced_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to="developers.organization",
                    ),
                ),
                (
                    "replaced_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="predecessors",
                        to="consent.consent",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="AuthorizationCode",
            fields=[
                ("expires", models.DateTimeField(verbose_name="expires")),
                ("redirect_uri", models.TextField(verbose_name="redirect URI")),
                ("scope", models.TextField(blank=True, verbose_name="scope")),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "code_challenge",
                    models.CharField(blank=True, default="", max_length=128, verbose_name="code challenge"),
                ),
                (
                    "code_challenge_method",
                    models.CharField(
                        blank=True,
                        choices=[("plain", "plain"), ("S256", "S256")],
                        default="",
                        max_length=10,
                        verbose_name="code challenge method",
                    ),
                ),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="cod", primary_key=True, serialize=False
                    ),
                ),
                ("code", core.fields.ExactCharField(max_length=64, unique=True)),
                ("resource", models.JSONField(default=list)),
                ("resource_owners", models.JSONField(default=dict)),
                ("consumed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                        verbose_name="application",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(app_label)s_%(class)s",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "consent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="codes", to="consent.consent"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["user", "id"], name="consent_con_user_id_4972d4_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["agent", "id"], name="consent_con_agent_i_076f4d_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["organization", "id"], name="consent_newest_of_org_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["organization", "status"], name="consent_status_of_org_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["agent", "status", "expires_at", "user", "id"], name="consent_of_agent_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(fields=["status", "expires_at", "id"], name="consent_by_status_idx"),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(
                condition=models.Q(("decided_at__isnull", True)), fields=["expires_at"], name="consent_undecided_idx"
            ),
        ),
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "approved")), fields=("user", "agent"), name="one_approved_consent"
            ),
        ),
        migrations.AddIndex(
            model_name="authorizationcode",
            index=models.Index(fields=["expires"], name="consent_aut_expires_dd7f37_idx"),
        ),
    ]
