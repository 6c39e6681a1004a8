from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('invoices', '0004_life_of_invoices'),
    ]

    operations = [
        migrations.AddField(
            model_name='creditentry',
            name='actor',
            field=models.CharField(blank=True, help_text='Empty: Tollmeter itself.', max_length=150),
        ),
        migrations.AddField(
            model_name='creditentry',
            name='note',
            field=models.CharField(blank=True, max_length=300),
        ),
    ]
