from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0003_policyversion"),
    ]

    operations = [
        migrations.AddField(
            model_name="policyversion",
            name="open_until",
            field=models.DateTimeField(null=True),
        ),
    ]
