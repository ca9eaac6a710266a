import django.db.models.deletion
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("developers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomScope",
            fields=[
                ("id", core.fields.ExactCharField(max_length=100, primary_key=True, serialize=False)),
                (
                    "risk_level",
                    models.CharField(
                        choices=[("low", "low"), ("standard", "standard"), ("high", "high"), ("critical", "critical")],
                        max_length=8,
                    ),
                ),
                ("title", models.CharField(max_length=80)),
                ("description", models.CharField(max_length=200)),
                ("cannot", models.CharField(max_length=200)),
                ("labels", models.JSONField(default=list)),
                ("is_reversible", models.BooleanField(default=False)),
                ("covers", models.JSONField(default=dict)),
                ("excludes", models.JSONField(default=list)),
                ("retired", models.JSONField(default=list)),
                ("edition", models.PositiveIntegerField(default=0)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="custom_scopes",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="ReservedIdentifier",
            fields=[
                ("identifier", core.fields.ExactCharField(max_length=500, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reserved_identifiers",
                        to="developers.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceServer",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="res", primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("identifier", core.fields.ExactCharField(max_length=500, unique=True)),
                ("scopes", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="resource_servers",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ResourceServerSecret",
            fields=[
                ("digest", core.fields.ExactCharField(max_length=64, unique=True)),
                ("last_four", models.CharField(max_length=4)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="rss", primary_key=True, serialize=False
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
                (
                    "resource_server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secrets",
                        to="resources.resourceserver",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ScopePrefix",
            fields=[
                ("prefix", core.fields.ExactCharField(max_length=40, primary_key=True, serialize=False)),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scope_prefixes",
                        to="developers.organization",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "scope prefixes",
            },
        ),
    ]
