"""The JSON of invoices."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from invoices.addressee import addressee_of
from invoices.lines.explained import sentences_of
from invoices.models import Invoice, InvoiceLine
from meters.aggregation import plain
from meters.api.auth import customer_of
from pricing.money import amount_text

STEPS, DAYS = "Only with `expand=lines.steps`.", "Only with `expand=lines.days`."


@extend_schema_field(serializers.CharField())
class PlainDecimal(serializers.Field[Any, Any, Any, Any]):
    """A decimal as text, without an exponent and with the digits it has."""

    def to_representation(self, value: Any) -> str:
        return plain(value)


class SpanSerializer(serializers.Serializer[Any]):
    utc = serializers.CharField()
    local = serializers.CharField(help_text="In the customer's time zone.")
    to = serializers.DateTimeField(help_text="Not included.")
    time_zone = serializers.CharField()

    def get_fields(self) -> Any:
        # `from` is a word of the language, so it cannot be an attribute.
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class StepRowSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
    amount = PlainDecimal(read_only=True, help_text="Exact: only the line is rounded.")

    def get_fields(self) -> Any:
        # A field has a label, so it cannot be an attribute.
        return {"label": serializers.CharField(), **super().get_fields()}


class DaySerializer(serializers.Serializer[Any]):
    day = serializers.DateField(help_text="Of the customer's time zone.")
    quantity = PlainDecimal(read_only=True)


@extend_schema_field({"type": "string", "format": "uri", "nullable": True})
class EventsAddress(serializers.URLField):
    """None stays None; what is not there at all is left out, as `allow_null` would not have it."""


class LineSerializer(serializers.ModelSerializer[InvoiceLine]):
    meter = serializers.CharField(
        source="product_item.meter.key", default=None, allow_null=True, help_text="Of a line about usage."
    )
    where = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Only usage whose dimensions have one of these texts; empty: all, or what other lines leave.",
    )
    fee = serializers.SerializerMethodField(help_text="The key of the fee that the line is about.")
    promotion = serializers.CharField(
        source="promotion.promotion.key", default=None, allow_null=True, help_text="Its key, of what is taken off."
    )
    tax_rate = serializers.CharField(
        source="tax_rate.key", default=None, allow_null=True, help_text="The key of the tax rate, of a tax."
    )
    corrects = serializers.CharField(
        source="corrects.number",
        default=None,
        allow_null=True,
        help_text="The number of the earlier invoice that usage has changed under, of a correction.",
    )
    quantity = PlainDecimal(read_only=True, allow_null=True, help_text="Null where nothing is counted.")
    amount = serializers.SerializerMethodField()
    explanation = serializers.SerializerMethodField()
    # Only of lines that were opened.
    price = serializers.CharField(source="opened.price", required=False, help_text=f"Where it is from. {STEPS}")
    rate_text = serializers.ListField(
        source="opened.rate_text", child=serializers.CharField(), required=False, help_text=f"The price. {STEPS}"
    )
    span = SpanSerializer(source="opened.span", required=False, help_text=f"What the line is about. {STEPS}")
    walk = StepRowSerializer(
        source="opened.walk", many=True, required=False, help_text=f"The steps as a table. {STEPS}"
    )
    rounding = serializers.CharField(source="opened.rounding", required=False, help_text=f"In words. {STEPS}")
    events = EventsAddress(source="opened.events", required=False, help_text=f"Null where it counts none. {STEPS}")
    days = DaySerializer(source="by_day.days", many=True, required=False, help_text=f"The usage of each day. {DAYS}")
    days_notes = serializers.ListField(
        source="by_day.days_notes",
        child=serializers.CharField(),
        required=False,
        help_text=f"Why they do not sum to the quantity, and what came later. {DAYS}",
    )

    class Meta:
        model = InvoiceLine
        fields = [
            "position",
            "kind",
            "meter",
            "where",
            "fee",
            "promotion",
            "tax_rate",
            "corrects",
            "name",
            "unit",
            "quantity",
            "amount",
            "rate",
            "steps",
            "explanation",
            "price",
            "rate_text",
            "span",
            "walk",
            "rounding",
            "events",
            "days",
            "days_notes",
        ]

    def get_fee(self, line: InvoiceLine) -> str | None:
        return line.fee_key or None

    def get_amount(self, line: InvoiceLine) -> str:
        return amount_text(line.amount, line.invoice.currency)

    def get_explanation(self, line: InvoiceLine) -> list[str]:
        return sentences_of(line)


class AddresseeSerializer(serializers.Serializer[Any]):
    """To whom an invoice is written; all but the name may be empty."""

    name = serializers.CharField()
    address = serializers.CharField()
    tax_id = serializers.CharField()
    tax_note = serializers.CharField(source="note", help_text="Printed on the invoice.")


@extend_schema_field(serializers.CharField())
class Money(serializers.Field[Any, Any, Any, Any]):
    """An amount of an invoice as text, with the decimals of its currency."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def get_attribute(self, instance: Any) -> Any:
        return instance, super().get_attribute(instance)

    def to_representation(self, value: Any) -> str:
        invoice, amount = value
        return amount_text(amount, invoice.currency)


class InvoiceSerializer(serializers.ModelSerializer[Invoice]):
    customer = serializers.CharField(source="customer.key")
    billed_to = serializers.SerializerMethodField()
    plan = serializers.CharField(source="plan_version.plan.key")
    plan_version = serializers.IntegerField(source="plan_version.number")
    subtotal = serializers.SerializerMethodField(help_text="The sum of all lines but taxes.")
    total = serializers.SerializerMethodField(help_text="The sum of all lines.")
    hold_reason = serializers.SerializerMethodField(help_text="Empty for a key of one customer.")
    usage_is_newer = serializers.BooleanField(
        source="is_behind", help_text="Newer usage, or another change, is about to be worked in."
    )
    credits_applied = Money(help_text="What prepaid credits have paid of it.")
    credited = Money(help_text="What credit notes have taken back.")
    paid = Money(help_text="What was paid, less what went back.")
    written_off = Money(help_text="What nobody waits for any more.")
    amount_due = Money(help_text="What is left to pay; below zero it is owed back. The total, while it is an estimate.")
    replaces = serializers.CharField(
        source="replaces.number", default=None, allow_null=True, help_text="The void invoice that it took the place of."
    )
    is_correction = serializers.BooleanField(
        help_text="Whether it is of usage of another invoice's period that came too late for that one, and of no more."
    )
    lines = LineSerializer(many=True)

    class Meta:
        model = Invoice
        fields = [
            "id",
            "number",
            "status",
            "customer",
            "billed_to",
            "plan",
            "plan_version",
            "period_start",
            "period_end",
            "time_zone",
            "currency",
            "subtotal",
            "total",
            "usage_version",
            "usage_at",
            "usage_is_newer",
            "computed_at",
            "closes_at",
            "held_at",
            "hold_reason",
            "approved_at",
            "finalized_at",
            "due_on",
            "credits_applied",
            "credited",
            "paid",
            "written_off",
            "amount_due",
            "payment_status",
            "voided_at",
            "replaces",
            "is_correction",
            "lines",
        ]

    @extend_schema_field(AddresseeSerializer)
    def get_billed_to(self, invoice: Invoice) -> dict[str, Any]:
        return dict(AddresseeSerializer(addressee_of(invoice)).data)

    def get_hold_reason(self, invoice: Invoice) -> str:
        request = self.context.get("request")
        return invoice.hold_reason if request is not None and customer_of(request) is None else ""

    def get_subtotal(self, invoice: Invoice) -> str:
        return amount_text(invoice.subtotal, invoice.currency)

    def get_total(self, invoice: Invoice) -> str:
        return amount_text(invoice.total, invoice.currency)
