import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import agents.models
import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("developers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Agent",
            fields=[
                (
                    "redirect_uris",
                    models.TextField(
                        blank=True, help_text="Allowed URIs list, space separated", verbose_name="redirect URIs"
                    ),
                ),
                (
                    "client_type",
                    models.CharField(
                        choices=[("confidential", "Confidential"), ("public", "Public")],
                        max_length=32,
                        verbose_name="client type",
                    ),
                ),
                (
                    "authorization_grant_type",
                    models.CharField(
                        choices=[
                            ("authorization-code", "Authorization code"),
                            ("urn:ietf:params:oauth:grant-type:device_code", "Device Code"),
                            ("implicit", "Implicit"),
                            ("password", "Resource owner password-based"),
                            ("client-credentials", "Client credentials"),
                            ("openid-hybrid", "OpenID connect hybrid"),
                        ],
                        max_length=44,
                        verbose_name="authorization grant type",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                ("updated", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "registration_source",
                    models.CharField(
                        choices=[
                            ("manual", "Manual"),
                            ("dcr", "Dynamic Client Registration"),
                            ("cimd", "Client ID Metadata Document"),
                        ],
                        default="manual",
                        help_text="How this application was registered (manual, DCR per RFC 7591, or CIMD)",
                        max_length=32,
                        verbose_name="registration source",
                    ),
                ),
                (
                    "cimd_expires_at",
                    models.DateTimeField(
                        blank=True,
                        default=None,
                        help_text="When the cached Client ID Metadata Document should be re-fetched",
                        null=True,
                        verbose_name="CIMD expires at",
                    ),
                ),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="agt", primary_key=True, serialize=False
                    ),
                ),
                (
                    "client_id",
                    core.fields.ExactCharField(default=agents.models.new_client_id, max_length=255, unique=True),
                ),
                ("name", models.CharField(blank=True, max_length=255, verbose_name="name")),
                ("description", models.CharField(blank=True, max_length=500)),
                ("homepage_url", models.CharField(blank=True, max_length=500)),
                ("privacy_url", models.CharField(blank=True, max_length=500)),
                ("logo_digest", core.fields.ExactCharField(blank=True, max_length=64)),
                ("allowed_scopes", models.JSONField(default=list)),
                ("require_pkce", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("suspended", "Suspended")], default="active", max_length=16
                    ),
                ),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                ("stop_reason", models.CharField(blank=True, max_length=300)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("reclaimed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "token_endpoint_auth_method",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("client_secret_basic", "Basic"),
                            ("client_secret_post", "Post"),
                            ("private_key_jwt", "Private Key Jwt"),
                        ],
                        default="client_secret_basic",
                        max_length=32,
                    ),
                ),
                ("jwks", models.JSONField(blank=True, null=True)),
                ("jwks_uri", models.CharField(blank=True, max_length=500)),
                ("jwks_fetched_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agents",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="UsedAssertion",
            fields=[
                ("digest", core.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="AgentLogo",
            fields=[
                (
                    "agent",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="logo",
                        serialize=False,
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                ("content", models.BinaryField()),
                ("media_type", models.CharField(max_length=16)),
                ("source_url", models.CharField(max_length=500)),
                ("fetched_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="AddedRedirectUri",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uri", core.fields.ExactCharField(max_length=500)),
                ("created_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="developers.developer",
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="added_redirect_uris",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ClientSecret",
            fields=[
                ("digest", core.fields.ExactCharField(max_length=64, unique=True)),
                ("last_four", models.CharField(max_length=4)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("name", models.CharField(blank=True, max_length=100)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="sec", primary_key=True, serialize=False
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secrets",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="developers.developer",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="EmergencyStop",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("stopped_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=300)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_emergency_stop")],
            },
        ),
        migrations.AddIndex(
            model_name="agent",
            index=models.Index(django.db.models.functions.text.Upper("name"), name="agents_name_idx"),
        ),
        migrations.AddIndex(
            model_name="agent",
            index=models.Index(
                condition=models.Q(("registration_source", "manual"), _negated=True),
                fields=["created"],
                name="agents_stock_created_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="addedredirecturi",
            constraint=models.UniqueConstraint(fields=("agent", "uri"), name="added_redirect_uri_once"),
        ),
    ]
