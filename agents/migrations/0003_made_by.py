import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("agents", "0002_reported_agent"),
        ("developers", "0003_memberships"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="developers.developer",
            ),
        ),
    ]
