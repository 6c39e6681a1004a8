import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

TABLES = ("invoices_brandimage", "invoices_brandversion")
KEEP = "\n".join(
    f"CREATE TRIGGER invoices_only_added_to BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION invoices_only_added_to();"
    for table in TABLES
)
LET_GO = "\n".join(f"DROP TRIGGER invoices_only_added_to ON {table};" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("invoices", "0010_tries_are_counted")]

    operations = [
        migrations.CreateModel(
            name="BrandImage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content", models.BinaryField()),
                ("media_type", models.CharField(max_length=20)),
                ("width", models.PositiveSmallIntegerField()),
                ("height", models.PositiveSmallIntegerField()),
                ("digest", models.CharField(max_length=64, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="BrandVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, max_length=100)),
                ("accent", models.CharField(blank=True, max_length=7)),
                ("support_url", models.CharField(blank=True, max_length=300, verbose_name="support link")),
                ("legal_footer", models.TextField(blank=True, max_length=600)),
                ("saved_at", models.DateTimeField()),
                ("saved_by", models.CharField(blank=True, max_length=150)),
                (
                    "dark_logo",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+",
                        to="invoices.brandimage",
                    ),
                ),
                (
                    "logo",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+",
                        to="invoices.brandimage",
                    ),
                ),
            ],
            options={
                "verbose_name": "brand",
                "verbose_name_plural": "brand",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(accent="") | Q(accent__regex=r"^#[0-9a-f]{6}$"), name="brand_accent"
                    )
                ],
            },
        ),
        migrations.RunSQL(KEEP, LET_GO),
    ]
