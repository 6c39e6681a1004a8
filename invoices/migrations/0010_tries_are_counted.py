from django.db import migrations, models
from django.db.models import Q

# Of a month and form that are being made more than once, the oldest goes on.
ONE_AT_A_TIME = """
UPDATE invoices_export AS e SET status = 'failed', error = 'This file is being made already.', finished_at = now()
WHERE e.status IN ('waiting', 'running') AND EXISTS (
    SELECT 1 FROM invoices_export AS o
    WHERE o.month = e.month AND o.form = e.form AND o.status IN ('waiting', 'running') AND o.id < e.id
)
"""


class Migration(migrations.Migration):
    dependencies = [("invoices", "0009_endpoints_know_since_when")]

    operations = [
        migrations.AddField(model_name="auditrun", name="tries", field=models.PositiveSmallIntegerField(default=0)),
        migrations.AddField(model_name="export", name="tries", field=models.PositiveSmallIntegerField(default=0)),
        migrations.RunSQL(ONE_AT_A_TIME, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="export",
            constraint=models.UniqueConstraint(
                fields=["month", "form"], condition=Q(status__in=["waiting", "running"]), name="export_one_at_a_time"
            ),
        ),
    ]
