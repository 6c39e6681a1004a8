import django.contrib.postgres.fields
import django.core.validators
from django.db import migrations, models

import meters.models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('start', models.CharField(editable=False, help_text='The first characters, to tell keys apart.', max_length=12)),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('ingest', 'Send events'), ('read', 'Read everything'), ('write', 'Create and change')], max_length=10), default=list, size=None)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('last_used_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                'verbose_name': 'API key',
                'ordering': ['name', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Customer',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('key', models.CharField(help_text='Your own id of it.', max_length=200, unique=True, validators=[django.core.validators.RegexValidator('\\A[^\\x00-\\x20\\x7f](?:[^\\x00-\\x1f\\x7f]*[^\\x00-\\x20\\x7f])?\\Z', 'Use printable text.')])),
                ('name', models.CharField(blank=True, max_length=200)),
                ('email', models.EmailField(blank=True, max_length=254)),
                ('traits', models.JSONField(blank=True, default=dict, help_text='What assignment rules look at.', validators=[meters.models.valid_traits])),
                ('time_zone', models.CharField(blank=True, help_text="Days and months begin at midnight here. Empty: the account's.", max_length=64, validators=[meters.models.valid_time_zone])),
                ('source', models.CharField(choices=[('api', 'API'), ('admin', 'Admin'), ('event', 'First event')], default='admin', editable=False, max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('onboarded_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'ordering': ['key'],
            },
        ),
        migrations.CreateModel(
            name='DimensionSet',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('digest', models.UUIDField(unique=True)),
                ('values', models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name='Meter',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('key', models.CharField(help_text='What events call it, for example ApiCalls.', max_length=100, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z][A-Za-z0-9_.-]*\\Z', "Use letters, digits, '_', '-' and '.', beginning with a letter.")])),
                ('name', models.CharField(blank=True, help_text='What people call it. Empty: the key.', max_length=200)),
                ('aggregation', models.CharField(choices=[('sum', 'Sum of the values'), ('count', 'Number of events'), ('max', 'Greatest value'), ('unique_count', 'Number of different values of a dimension')], default='sum', max_length=20)),
                ('unit', models.CharField(blank=True, help_text='Plural, for example calls.', max_length=40)),
                ('dimensions', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, default=list, help_text='Names that usage can be filtered and grouped by, for example source, target.', size=None)),
                ('unique_dimension', models.CharField(blank=True, help_text='The dimension whose different values are counted, for example user_id.', max_length=100)),
                ('used_for_billing', models.BooleanField(default=False, help_text='Creates the product item that plans put a price on.', verbose_name='used for billing')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['key'],
            },
        ),
        migrations.AddIndex(
            model_name='customer',
            index=models.Index(models.F('id'), condition=models.Q(('onboarded_at__isnull', True)), name='customer_not_onboarded'),
        ),
    ]
