import django.utils.timezone
from django.db import migrations, models

import meters.fields


class Migration(migrations.Migration):
    dependencies = [
        ("invoices", "0006_corrections_keep_their_rate"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="alertfiring",
            name="threshold",
            field=meters.fields.NumericField(decimal_places=20, default=0, max_digits=60),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="alertfiring",
            name="budget",
            field=meters.fields.NumericField(decimal_places=20, default=0, max_digits=60),
        ),
        migrations.RemoveConstraint(model_name="alertfiring", name="alertfiring_once"),
        migrations.AddConstraint(
            model_name="alertfiring",
            constraint=models.UniqueConstraint(
                fields=("alert", "invoice", "threshold", "budget"), name="alertfiring_once"
            ),
        ),
    ]
