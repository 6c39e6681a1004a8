from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meters", "0006_audit_log")]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("beat", "Beat"), ("worker", "Worker")], max_length=10)),
                ("name", models.CharField(max_length=200)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_once")]},
        ),
    ]
