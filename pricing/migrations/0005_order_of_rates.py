from django.db import migrations, models

# As they were looked at before: by their ids in each version.
PLACES = """
UPDATE pricing_rate SET position = placed.place
FROM (SELECT id, row_number() OVER (PARTITION BY plan_version_id ORDER BY id) AS place FROM pricing_rate) AS placed
WHERE pricing_rate.id = placed.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("pricing", "0004_who_activated_and_rules_as_they_were"),
    ]

    operations = [
        migrations.AddField(
            model_name="rate",
            name="position",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.RunSQL(PLACES, migrations.RunSQL.noop),
        migrations.AlterModelOptions(
            name="rate",
            options={"ordering": ["plan_version", "product_item__name", "position", "id"]},
        ),
    ]
