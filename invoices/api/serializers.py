"""The JSON of invoices."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from invoices.explained import sentences_of
from invoices.models import Invoice, InvoiceLine
from meters.aggregation import plain
from pricing.money import amount_text


@extend_schema_field(serializers.CharField())
class PlainDecimal(serializers.Field[Any, Any, Any, Any]):
    """A decimal as text, without an exponent and with the digits it has."""

    def to_representation(self, value: Any) -> str:
        return plain(value)


class LineSerializer(serializers.ModelSerializer[InvoiceLine]):
    meter = serializers.CharField(source="product_item.meter.key")
    quantity = PlainDecimal(read_only=True)
    amount = serializers.SerializerMethodField()
    explanation = serializers.SerializerMethodField()

    class Meta:
        model = InvoiceLine
        fields = ["position", "kind", "meter", "name", "unit", "quantity", "amount", "rate", "steps", "explanation"]

    def get_amount(self, line: InvoiceLine) -> str:
        return amount_text(line.amount, line.invoice.currency)

    def get_explanation(self, line: InvoiceLine) -> list[str]:
        return sentences_of(line)


class InvoiceSerializer(serializers.ModelSerializer[Invoice]):
    customer = serializers.CharField(source="customer.key")
    plan = serializers.CharField(source="plan_version.plan.key")
    plan_version = serializers.IntegerField(source="plan_version.number")
    total = serializers.SerializerMethodField()
    lines = LineSerializer(many=True)

    class Meta:
        model = Invoice
        fields = [
            "id",
            "number",
            "status",
            "customer",
            "plan",
            "plan_version",
            "period_start",
            "period_end",
            "time_zone",
            "currency",
            "total",
            "usage_version",
            "usage_at",
            "computed_at",
            "finalized_at",
            "lines",
        ]

    def get_total(self, invoice: Invoice) -> str:
        return amount_text(invoice.total, invoice.currency)
