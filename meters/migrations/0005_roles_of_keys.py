from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("meters", "0004_usage_that_comes_late")]

    operations = [
        # The default stays in the database, so servers of the version before can go on making keys meanwhile.
        migrations.AddField(
            "apikey",
            "role",
            models.CharField(
                max_length=10,
                choices=[
                    ("owner", "Owner"),
                    ("finance", "Finance"),
                    ("support", "Support"),
                    ("read-only", "Read-only"),
                ],
                default="owner",
                db_default="owner",
                help_text="What its scopes open is bounded by what staff of this role may do.",
            ),
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(("role__in", ["owner", "finance", "support", "read-only"])), name="apikey_role"
            ),
        ),
    ]
