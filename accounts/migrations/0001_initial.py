import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import core.fields
import core.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="BrowserSession",
            fields=[
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("session_key", core.fields.ExactCharField(max_length=40, primary_key=True, serialize=False)),
                ("user_id", core.fields.ExactCharField(db_index=True, max_length=64, null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("ip", core.fields.ExactCharField(blank=True, max_length=45)),
                ("started_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="PendingRegistration",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="reg", primary_key=True, serialize=False, unguessable=True
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("user", "User"), ("developer", "Developer"), ("browser", "Browser")], max_length=9
                    ),
                ),
                ("email", core.fields.ExactEmailField(db_index=True, max_length=254)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("password", models.CharField(max_length=128)),
                ("digest", core.fields.ExactCharField(max_length=64, unique=True)),
                ("sender", core.fields.ExactCharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="usr", primary_key=True, serialize=False
                    ),
                ),
                ("email", core.fields.ExactEmailField(max_length=254, unique=True)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("agents_paused_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("time_zone", models.CharField(blank=True, max_length=64)),
                ("approval_mails", models.BooleanField(default=True)),
                ("grant_mails", models.BooleanField(default=True)),
                ("device_mails", models.BooleanField(default=True)),
                ("erased_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="AddressCode",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="adc", primary_key=True, serialize=False
                    ),
                ),
                ("email", core.fields.ExactEmailField(max_length=254)),
                ("digest", core.fields.ExactCharField(max_length=64, unique=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="address_codes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("facts", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notices", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SessionToken",
            fields=[
                (
                    "id",
                    core.ids.PrefixedIdField(
                        editable=False, max_length=64, prefix="ses", primary_key=True, serialize=False
                    ),
                ),
                ("digest", core.fields.ExactCharField(max_length=64, unique=True)),
                ("auth_hash", models.CharField(max_length=64)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("ip", core.fields.ExactCharField(blank=True, max_length=45)),
                ("created_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="session_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="KnownAddress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", core.fields.ExactCharField(max_length=64)),
                ("last_seen_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_addresses",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "known addresses",
                "constraints": [models.UniqueConstraint(fields=("user", "digest"), name="known_address_once")],
            },
        ),
        migrations.CreateModel(
            name="KnownDevice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", core.fields.ExactCharField(max_length=64)),
                ("last_seen_at", models.DateTimeField(db_index=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="known_devices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "digest"), name="known_device_once")],
            },
        ),
    ]
