import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import pricing.models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('meters', '0002_usage_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='Plan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=100, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z][A-Za-z0-9_.-]*\\Z', "Use letters, digits, '_', '-' and '.', beginning with a letter.")])),
                ('name', models.CharField(blank=True, help_text='What customers read. Empty: the key.', max_length=200)),
                ('description', models.TextField(blank=True)),
                ('is_default', models.BooleanField(default=False, help_text='What a new customer gets when no assignment rule matches.', verbose_name='default plan')),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('active', 'Active'), ('retired', 'Retired')], default='draft', editable=False, max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['key'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('is_default',), name='plan_one_default')],
            },
        ),
        migrations.CreateModel(
            name='AssignmentRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(default=pricing.models.next_position, help_text='Rules are tried from the lowest to the highest.', unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignment_rules', to='pricing.plan')),
            ],
            options={
                'ordering': ['position', 'id'],
            },
        ),
        migrations.CreateModel(
            name='PlanVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('currency', models.CharField(default=pricing.models.account_currency, max_length=3)),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('active', 'Active'), ('superseded', 'Superseded')], default='draft', editable=False, max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('activated_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='pricing.plan')),
            ],
            options={
                'ordering': ['plan', 'number'],
            },
        ),
        migrations.CreateModel(
            name='ProductItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('retired_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('meter', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='product_item', to='meters.meter')),
            ],
            options={
                'ordering': ['name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Rate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('parameters', models.JSONField()),
                ('plan_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rates', to='pricing.planversion')),
                ('product_item', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rates', to='pricing.productitem')),
            ],
            options={
                'ordering': ['plan_version', 'product_item__name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='AssignmentRuleCondition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trait', models.CharField(max_length=100)),
                ('value', models.CharField(max_length=200)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='conditions', to='pricing.assignmentrule')),
            ],
            options={
                'verbose_name': 'condition',
                'ordering': ['trait'],
                'constraints': [models.UniqueConstraint(fields=('rule', 'trait'), name='rulecondition_trait_once')],
            },
        ),
        migrations.CreateModel(
            name='Assignment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('time_zone', models.CharField(editable=False, max_length=64)),
                ('starts_on', models.DateField()),
                ('ends_on', models.DateField(blank=True, help_text='The first day that is no longer on the plan.', null=True)),
                ('source', models.CharField(choices=[('rule', 'Assignment rule'), ('default', 'Default plan'), ('staff', 'Staff')], default='staff', editable=False, max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='meters.customer')),
                ('rule', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='assignments', to='pricing.assignmentrule')),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assignments', to='pricing.plan')),
            ],
            options={
                'ordering': ['customer', 'starts_on', 'id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('ends_on__isnull', True), ('ends_on__gt', models.F('starts_on')), _connector='OR'), name='assignment_ends_after_start')],
            },
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.UniqueConstraint(fields=('plan', 'number'), name='planversion_number'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'draft')), fields=('plan',), name='planversion_one_draft'),
        ),
        migrations.AddConstraint(
            model_name='planversion',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'active')), fields=('plan',), name='planversion_one_active'),
        ),
        migrations.AddConstraint(
            model_name='rate',
            constraint=models.UniqueConstraint(fields=('plan_version', 'product_item'), name='rate_one_per_item'),
        ),
    ]
