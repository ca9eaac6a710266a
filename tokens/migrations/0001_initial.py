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
        migrations.swappable_dependency(settings.OAUTH2_PROVIDER_GRANT_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("kid", core.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ("algorithm", models.CharField(max_length=8)),
                ("public_jwk", models.JSONField(blank=True, null=True)),
                ("private_sealed", models.BinaryField()),
                ("secret_id", core.fields.ExactCharField(max_length=32)),
                ("created_at", models.DateTimeField()),
                ("activates_at", models.DateTimeField()),
                ("retires_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-activates_at"],
            },
        ),
        migrations.CreateModel(
            name="TokenFamily",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="fam", primary_key=True, serialize=False
                    ),
                ),
                ("scope", models.TextField()),
                ("removed_scopes", models.JSONField(default=list)),
                ("resource", models.JSONField(default=list)),
                ("resource_owners", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="families",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "code",
                    models.OneToOneField(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="family",
                        to=settings.OAUTH2_PROVIDER_GRANT_MODEL,
                    ),
                ),
                (
                    "consent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="families",
                        to="consent.consent",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "token families",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="RefreshToken",
            fields=[
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="rft", primary_key=True, serialize=False
                    ),
                ),
                ("token_checksum", core.fields.ExactCharField(max_length=64, unique=True)),
                ("expires", models.DateTimeField()),
                ("consumed_at", models.DateTimeField(blank=True, null=True)),
                ("sealed_answer", models.BinaryField(null=True)),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
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
                    "family",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refresh_tokens",
                        to="tokens.tokenfamily",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="AccessToken",
            fields=[
                ("expires", models.DateTimeField(verbose_name="expires")),
                ("scope", models.TextField(blank=True, verbose_name="scope")),
                ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="tok", primary_key=True, serialize=False
                    ),
                ),
                ("resource", models.JSONField(default=list)),
                ("resource_owners", models.JSONField(default=dict)),
                (
                    "application",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(app_label)s_%(class)s",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "family",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_tokens",
                        to="tokens.tokenfamily",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="tokenfamily",
            index=models.Index(fields=["application", "id"], name="families_of_agent_idx"),
        ),
        migrations.AddIndex(
            model_name="tokenfamily",
            index=models.Index(fields=["application", "revoked_at", "expires_at", "consent"], name="families_live_idx"),
        ),
        migrations.AddIndex(
            model_name="refreshtoken",
            index=models.Index(fields=["expires"], name="tokens_refr_expires_4a60fe_idx"),
        ),
        migrations.AddIndex(
            model_name="refreshtoken",
            index=models.Index(
                condition=models.Q(("sealed_answer__isnull", False)), fields=["family"], name="tokens_kept_answers_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="refreshtoken",
            index=models.Index(fields=["application", "id"], name="refresh_tokens_of_agent_idx"),
        ),
        migrations.AddIndex(
            model_name="accesstoken",
            index=models.Index(fields=["expires"], name="tokens_acce_expires_2c6d84_idx"),
        ),
        migrations.AddIndex(
            model_name="accesstoken",
            index=models.Index(fields=["application", "id"], name="access_tokens_of_agent_idx"),
        ),
    ]
