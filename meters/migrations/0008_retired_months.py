from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meters", "0007_heartbeats")]

    operations = [
        migrations.CreateModel(
            name="RetiredMonth",
            fields=[
                ("month", models.DateField(help_text="Its first day.", primary_key=True, serialize=False)),
                ("events", models.BigIntegerField(default=0)),
                ("file", models.CharField(blank=True, help_text="Where they were written to.", max_length=500)),
                ("sha256", models.CharField(blank=True, help_text="Of the file.", max_length=64)),
                ("began_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={"ordering": ["-month"]},
        ),
    ]
