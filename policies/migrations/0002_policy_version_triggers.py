"""Install triggers that renew `policy_version` of an organization when its policies change."""

from django.db import migrations

from policies.triggers import install_statements, remove_statements


def install(apps, schema_editor):
    for statement in install_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


def remove(apps, schema_editor):
    for statement in remove_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0001_initial"),
        ("developers", "0001_initial"),
    ]

    operations = [migrations.RunPython(install, remove)]
