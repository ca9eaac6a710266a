from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("developers", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="terms_url",
            field=models.CharField(blank=True, db_default="", max_length=500),
        ),
        migrations.AddField(
            model_name="organization",
            name="contact_email",
            field=models.CharField(blank=True, db_default="", max_length=254),
        ),
    ]
