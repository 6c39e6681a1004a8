import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portal", "0004_embed_tokens")]

    operations = [
        migrations.AddField(
            model_name="membership", name="time_zone", field=models.CharField(blank=True, default="", max_length=64)
        ),
        migrations.AddField(
            model_name="membership",
            name="unwanted_mails",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=20), blank=True, default=list, size=None
            ),
        ),
    ]
