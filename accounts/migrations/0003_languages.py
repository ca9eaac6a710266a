from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_staff_roles")]

    operations = [
        migrations.AddField(
            model_name="pendingregistration",
            name="language",
            field=models.CharField(blank=True, db_default="", max_length=10),
        ),
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(blank=True, db_default="", max_length=10),
        ),
    ]
