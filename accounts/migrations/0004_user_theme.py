from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_languages")]

    operations = [
        migrations.AddField(
            model_name="user", name="theme", field=models.CharField(blank=True, db_default="", max_length=5)
        ),
    ]
