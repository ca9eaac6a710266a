from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_index_known_addresses_by_last_use"),
    ]

    operations = [
        migrations.AddField(
            model_name="sessiontoken",
            name="auth_hash",
            # Sessions from before this column match no password, so they end.
            field=models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
    ]
