from django.db import migrations, models

SOURCES = [
    ("rule", "Assignment rule"),
    ("default", "Default plan"),
    ("staff", "Staff"),
    ("api", "API"),
    ("import", "Import"),
    ("portal", "Customer, in the portal"),
]


class Migration(migrations.Migration):
    dependencies = [("pricing", "0007_assignments_made_with_a_version")]

    operations = [
        migrations.AddField(
            model_name="plan",
            name="offer",
            field=models.CharField(
                choices=[
                    ("none", "Not offered"),
                    ("shown", "Shown with its prices"),
                    ("self_service", "Shown, and customers change to it by themselves"),
                ],
                default="none",
                help_text="What customers on other plans see of it in the portal while it is active; of a private plan,"
                " its customer alone.",
                max_length=12,
                verbose_name="offered to customers",
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.CheckConstraint(
                condition=models.Q(("offer__in", ["none", "shown", "self_service"])), name="plan_offer"
            ),
        ),
        migrations.AddField(
            model_name="assignment",
            name="without_trial",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="source",
            field=models.CharField(choices=SOURCES, default="staff", editable=False, max_length=10),
        ),
        migrations.AlterField(
            model_name="assignmentlog", name="source", field=models.CharField(choices=SOURCES, max_length=10)
        ),
    ]
