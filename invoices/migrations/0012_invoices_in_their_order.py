from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("invoices", "0011_brand"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["customer", "-period_start", "-id"], name="invoice_of_customer"),
        ),
    ]
