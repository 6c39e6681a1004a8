from django.db import migrations, models

SINCE_WHEN = """
UPDATE invoices_webhookendpoint AS e SET after_event = coalesce(
    (SELECT max(o.id) FROM invoices_outboxevent AS o WHERE o.created_at < e.created_at), 0
)
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0008_audits")]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="after_event",
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.RunSQL(SINCE_WHEN, migrations.RunSQL.noop),
    ]
