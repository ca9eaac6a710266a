from django.db import migrations, models

ADD = "ALTER TABLE developers_organization ADD COLUMN {} varchar({}) DEFAULT '' NOT NULL"
DROP = "ALTER TABLE developers_organization DROP COLUMN {}"


def added(name, length):
    """Add the column by its own statement. On SQLite, Django would make the table anew, which triggers name."""
    field = models.CharField(blank=True, db_default="", max_length=length)
    return migrations.RunSQL(
        ADD.format(name, length),
        DROP.format(name),
        state_operations=[migrations.AddField(model_name="organization", name=name, field=field)],
    )


class Migration(migrations.Migration):
    dependencies = [("developers", "0001_initial")]

    operations = [added("terms_url", 500), added("contact_email", 254)]
