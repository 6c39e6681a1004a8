from django.db import migrations, models

SQL = "ALTER TABLE meters_usageversion ADD COLUMN oldest_at timestamptz"
REVERSE_SQL = "ALTER TABLE meters_usageversion DROP COLUMN oldest_at"


class Migration(migrations.Migration):
    dependencies = [("meters", "0003_options_voids_and_keys")]

    operations = [
        migrations.RunSQL(
            SQL,
            REVERSE_SQL,
            state_operations=[
                migrations.AddField(model_name="usageversion", name="oldest_at", field=models.DateTimeField(null=True)),
            ],
        ),
    ]
