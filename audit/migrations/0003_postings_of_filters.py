"""Add the postings by which an older log can be searched with all filters.

A new database has no entries, and this does nothing there.
"""

from django.db import migrations


def repost(apps, schema_editor):
    if apps.get_model("audit", "Segment").objects.exists():
        from audit.sequencing.reposting import repost

        repost()


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("audit", "0002_tables_and_triggers")]
    operations = [migrations.RunPython(repost, migrations.RunPython.noop)]
