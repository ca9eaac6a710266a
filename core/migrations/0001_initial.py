from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("request_digest", models.CharField(max_length=64)),
                ("sealed_answer", models.BinaryField(null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
    ]
