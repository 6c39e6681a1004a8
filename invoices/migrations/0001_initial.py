import django.db.models.deletion
from django.db import migrations, models

import meters.fields


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('meters', '0002_usage_tables'),
        ('pricing', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='NumberSeries',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('year', models.PositiveIntegerField(unique=True)),
                ('last', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name_plural': 'number series',
            },
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('open', 'Open'), ('grace', 'Grace'), ('final', 'Final'), ('void', 'Void')], default='open', max_length=10)),
                ('number', models.CharField(blank=True, default='', help_text='Taken when it becomes final.', max_length=40)),
                ('period_start', models.DateTimeField()),
                ('period_end', models.DateTimeField()),
                ('time_zone', models.CharField(max_length=64)),
                ('closes_at', models.DateTimeField()),
                ('currency', models.CharField(max_length=3)),
                ('total', meters.fields.NumericField(decimal_places=20, default=0, max_digits=60)),
                ('usage_version', models.BigIntegerField(default=0)),
                ('usage_at', models.DateTimeField(null=True)),
                ('is_stale', models.BooleanField(default=True)),
                ('customer_name', models.CharField(blank=True, max_length=200)),
                ('plan_name', models.CharField(blank=True, max_length=200)),
                ('computed_at', models.DateTimeField(null=True)),
                ('finalized_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('assignment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='pricing.assignment')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='meters.customer')),
                ('plan_version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoices', to='pricing.planversion')),
            ],
            options={
                'ordering': ['-period_start', '-id'],
            },
        ),
        migrations.CreateModel(
            name='InvoiceEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('kind', models.CharField(max_length=40)),
                ('actor', models.CharField(blank=True, help_text='Empty: Tollmeter itself.', max_length=150)),
                ('detail', models.JSONField(default=dict)),
                ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='invoices.invoice')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='InvoiceLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('usage', 'Usage'), ('unpriced', 'Unpriced usage')], default='usage', max_length=10)),
                ('name', models.CharField(max_length=200)),
                ('unit', models.CharField(blank=True, max_length=40)),
                ('quantity', meters.fields.NumericField(decimal_places=20, max_digits=60)),
                ('amount', meters.fields.NumericField(decimal_places=20, help_text="Rounded to the currency's minor unit.", max_digits=60)),
                ('rate', models.JSONField(null=True)),
                ('steps', models.JSONField(default=list)),
                ('invoice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='invoices.invoice')),
                ('product_item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='invoice_lines', to='pricing.productitem')),
            ],
            options={
                'ordering': ['invoice', 'position'],
            },
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('status__in', ['open', 'grace'])), fields=['customer'], name='invoice_live_customer'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('status__in', ['open', 'grace'])), fields=['period_end'], name='invoice_live_end'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'void'), _negated=True), fields=('assignment', 'period_start'), name='invoice_one_per_period'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.UniqueConstraint(condition=models.Q(('number', ''), _negated=True), fields=('number',), name='invoice_number'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(('period_end__gt', models.F('period_start'))), name='invoice_period_order'),
        ),
        migrations.AddConstraint(
            model_name='invoice',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'final'), _negated=True), models.Q(models.Q(('number', ''), _negated=True), ('finalized_at__isnull', False)), _connector='OR'), name='invoice_final_has_number'),
        ),
        migrations.AddConstraint(
            model_name='invoiceline',
            constraint=models.UniqueConstraint(fields=('invoice', 'position'), name='invoiceline_position'),
        ),
    ]
