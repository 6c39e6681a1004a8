from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('invoices', '0007_alerts_by_threshold'),
    ]

    operations = [
        migrations.AddField(
            model_name='auditrun',
            name='after',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='auditrun',
            name='found',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='auditrun',
            name='left_out',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='auditrun',
            name='options',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='billingpolicy',
            name='paper_footer',
            field=models.TextField(blank=True, help_text='At the foot of each page, such as where to pay to.', max_length=500),
        ),
        migrations.AddField(
            model_name='billingpolicy',
            name='seller_address',
            field=models.TextField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name='billingpolicy',
            name='seller_name',
            field=models.CharField(blank=True, help_text='Empty: COMPANY_NAME.', max_length=200),
        ),
        migrations.AddField(
            model_name='billingpolicy',
            name='seller_tax_id',
            field=models.CharField(blank=True, max_length=50),
        ),
        migrations.AddField(
            model_name='creditnote',
            name='seller',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='invoice',
            name='seller',
            field=models.JSONField(null=True),
        ),
        migrations.AlterField(
            model_name='auditfinding',
            name='check_name',
            field=models.CharField(choices=[('amounts', 'Stored lines against a recount of events'), ('corrections', 'Corrections of earlier invoices'), ('totals', 'Totals against their lines'), ('numbers', 'Gaps and repeats in numbers'), ('ledger', 'Credits against their ledger'), ('settlement', 'What is paid, credited and due'), ('no_plan', 'Usage without a plan'), ('no_rate', 'Usage that no rate matched')], max_length=12, verbose_name='check'),
        ),
        migrations.AlterField(
            model_name='auditrun',
            name='actor',
            field=models.CharField(blank=True, help_text='Empty: Tollmeter itself.', max_length=150),
        ),
        migrations.AddConstraint(
            model_name='auditrun',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'running')), fields=('status',), name='auditrun_one_running'),
        ),
    ]
