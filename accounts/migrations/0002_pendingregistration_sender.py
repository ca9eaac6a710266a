from django.db import migrations, models


class Migration(migrations.Migration):
    """Count waiting registrations by the network they come from."""

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            "pendingregistration",
            "sender",
            models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
    ]
