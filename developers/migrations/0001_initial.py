import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="org", primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("is_verified", models.BooleanField(default=False)),
                ("verified_with", core.fields.ExactCharField(blank=True, max_length=253, null=True)),
                ("domain", core.fields.ExactCharField(blank=True, max_length=253, null=True, unique=True)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("suspension_reason", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("policy_version", core.fields.RandomVersionField(db_default="", editable=False, max_length=32)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(django.db.models.functions.text.Upper("name"), name="organizations_name_idx")],
            },
        ),
        migrations.CreateModel(
            name="DomainClaim",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="dom", primary_key=True, serialize=False
                    ),
                ),
                ("name", core.fields.ExactCharField(max_length=253)),
                ("token", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("method", models.CharField(blank=True, choices=[("dns", "Dns"), ("file", "File")], max_length=8)),
                (
                    "dns_problem",
                    models.CharField(
                        blank=True,
                        choices=[("absent", "Absent"), ("other", "Other"), ("unreachable", "Unreachable")],
                        max_length=16,
                    ),
                ),
                (
                    "file_problem",
                    models.CharField(
                        blank=True,
                        choices=[("absent", "Absent"), ("other", "Other"), ("unreachable", "Unreachable")],
                        max_length=16,
                    ),
                ),
                ("proved_by", models.CharField(blank=True, choices=[("dns", "Dns"), ("file", "File")], max_length=8)),
                ("proved_at", models.DateTimeField(blank=True, null=True)),
                ("due_at", models.DateTimeField(blank=True, db_index=True, null=True)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("review_asked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="domain_claim",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Developer",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="dev", primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="developer",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="developers",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
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
                        editable=False, max_length=64, prefix="key", primary_key=True, serialize=False
                    ),
                ),
                ("lifetime_seconds", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "developer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="api_keys", to="developers.developer"
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "ordering": ["-id"],
                "abstract": False,
            },
        ),
    ]
