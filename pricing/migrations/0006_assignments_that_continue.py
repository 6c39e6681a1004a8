import django.db.models.deletion
from django.db import migrations, models

# Those made for a customer past the trial say so by a trial of none that is their own.
SETTLED = """
UPDATE pricing_plan SET beginning_settled = true
WHERE base_id IS NOT NULL AND EXISTS (
    SELECT FROM pricing_planversion AS version
    WHERE version.plan_id = pricing_plan.id AND version.trial_days = 0
      AND 'trial_days' = ANY(version.overridden_terms)
)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0005_order_of_rates"),
    ]

    operations = [
        migrations.AddField(
            model_name="assignment",
            name="continues",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="continued_by",
                to="pricing.assignment",
            ),
        ),
        migrations.AddField(
            model_name="assignment",
            name="goes_on",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="assignmentquantity",
            name="is_taken_over",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="plan",
            name="beginning_settled",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunSQL(SETTLED, migrations.RunSQL.noop),
    ]
