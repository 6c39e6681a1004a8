from django.db import migrations, models

# What is on record already gets the rule as it is now: what it was is not known any more.
KEEP_WORDS = """
UPDATE pricing_assignmentlog AS entry
SET rule_words = left('Rule ' || rule.position || ': ' || coalesce(nullif(plan.name, ''), plan.key), 400)
FROM pricing_assignmentrule AS rule JOIN pricing_plan AS plan ON plan.id = rule.plan_id
WHERE entry.rule_id = rule.id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('pricing', '0003_assignments_without_a_day'),
    ]

    operations = [
        migrations.AddField(
            model_name='planversion',
            name='activated_by',
            field=models.CharField(blank=True, default='', editable=False, help_text='Empty: Tollmeter itself.', max_length=200),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='assignmentlog',
            name='rule_words',
            field=models.CharField(blank=True, default='', help_text='The rule as it was then.', max_length=400),
            preserve_default=False,
        ),
        migrations.RunSQL(KEEP_WORDS, migrations.RunSQL.noop),
    ]
