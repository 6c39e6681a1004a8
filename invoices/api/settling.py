"""What settles invoices and takes them back: payments, write-offs, credit notes, void and reissue."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.api.papers import CreditNotePapers
from invoices.api.serializers import InvoiceSerializer
from invoices.api.settling_examples import (
    CREDIT_NOTE,
    NEW_CREDIT_NOTE,
    NEW_PAYMENT,
    NEW_WRITE_OFF,
    PAYMENT,
    REISSUED,
    VOID,
    WHY,
    WRITE_OFF,
)
from invoices.models import CreditNote, CreditNoteLine, Invoice, Payment
from invoices.settling import credit_notes, payments, voiding
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered, asked
from meters.api.pagination import CursorPagination
from meters.api.serializers import ByKey, DayField, NumberField, Strict
from meters.models import Customer
from pricing.api.fields import NewestFirst, actor_of, query_of
from pricing.money import amount_text

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    _Base = GenericViewSet[Invoice]
else:
    _Base = object

MOST_LINES = 1000
REASON = "The customer reads it, on the credit note."


class PaymentSerializer(serializers.ModelSerializer[Payment]):
    invoice = serializers.CharField(source="invoice.number")
    amount = serializers.SerializerMethodField(help_text="Below zero for a refund.")
    currency = serializers.CharField(source="invoice.currency")

    class Meta:
        model = Payment
        fields = ["id", "invoice", "kind", "amount", "currency", "paid_on", "reference", "created_at"]

    def get_amount(self, payment: Payment) -> str:
        return amount_text(payment.amount, payment.invoice.currency)


class NewPaymentSerializer(Strict):
    kind = serializers.ChoiceField(
        [Payment.Kind.PAYMENT, Payment.Kind.REFUND],
        default=Payment.Kind.PAYMENT,
        help_text="`refund`: money that went back, at most what was paid.",
    )
    amount = NumberField(help_text="Above zero, also of a refund, in whole minor units of the invoice's currency.")
    reference = serializers.CharField(
        max_length=payments.LONGEST_REFERENCE,
        default="",
        allow_blank=True,
        help_text="The bank's or the payment provider's: the same payment is recorded once, however often it is sent.",
    )
    paid_on = DayField(required=False, help_text="By default today, in the invoice's time zone.")


class WriteOffSerializer(Strict):
    reason = serializers.CharField(max_length=payments.LONGEST_REASON, help_text="For staff.")
    amount = NumberField(required=False, help_text="By default all that is due.")
    reference = serializers.CharField(max_length=payments.LONGEST_REFERENCE, default="", allow_blank=True)


class ReasonSerializer(Strict):
    reason = serializers.CharField(max_length=credit_notes.LONGEST_REASON, help_text=REASON)


class CreditedLineSerializer(Strict):
    position = serializers.IntegerField(min_value=1, help_text="Of the line of the invoice.")
    amount = NumberField(required=False, help_text="Before tax. By default all that is left of the line.")


class NewCreditNoteSerializer(ReasonSerializer):
    lines = serializers.ListField(
        child=CreditedLineSerializer(),
        required=False,
        allow_empty=False,
        max_length=MOST_LINES,
        help_text="Left out: all that is left of the invoice. Taxes follow the lines and are not named.",
    )

    def validate_lines(self, lines: list[dict[str, Any]]) -> dict[int, Decimal | None]:
        amounts = {line["position"]: line.get("amount") for line in lines}
        if len(amounts) < len(lines):
            raise serializers.ValidationError("Name each line once.")
        return amounts


class CreditNoteLineSerializer(serializers.ModelSerializer[CreditNoteLine]):
    invoice_line = serializers.IntegerField(
        source="invoice_line.position",
        default=None,
        allow_null=True,
        help_text="The position of the invoice's line; null for usage that has changed since.",
    )
    amount = serializers.SerializerMethodField(help_text="Positive: taken back.")

    class Meta:
        model = CreditNoteLine
        fields = ["position", "invoice_line", "name", "is_tax", "amount"]

    def get_amount(self, line: CreditNoteLine) -> str:
        return amount_text(line.amount, line.credit_note.invoice.currency)


class CreditNoteSerializer(serializers.ModelSerializer[CreditNote]):
    """Amounts are positive: what is taken back."""

    invoice = serializers.CharField(source="invoice.number")
    customer = serializers.CharField(source="invoice.customer.key")
    currency = serializers.CharField(source="invoice.currency")
    subtotal = serializers.SerializerMethodField(help_text="Before tax.")
    total = serializers.SerializerMethodField()
    lines = CreditNoteLineSerializer(many=True)

    class Meta:
        model = CreditNote
        fields = ["number", "invoice", "customer", "reason", "currency", "subtotal", "total", "issued_at", "lines"]

    def get_subtotal(self, note: CreditNote) -> str:
        return amount_text(note.subtotal, note.invoice.currency)

    def get_total(self, note: CreditNote) -> str:
        return amount_text(note.total, note.invoice.currency)


class SettlingActions(_Base):
    """Joined to the view set of invoices, which are named by number or id."""

    @extend_schema(
        methods=["GET"],
        operation_id="list_invoice_payments",
        description="Lists what was paid for an invoice, what went back and what was written off, newest first.",
        responses=PaymentSerializer(many=True),
        examples=[answered(PAYMENT)],
    )
    @extend_schema(
        methods=["POST"],
        operation_id="record_payment",
        description="Records money that came for an invoice, or went back. More than is due is taken: `amount_due` is "
        "below zero then, which is owed back.\n\nThe same payment with a `reference` that was sent before is not "
        "recorded again, and is answered with 200; another amount or day under it is refused.",
        request=NewPaymentSerializer,
        responses={200: PaymentSerializer, 201: PaymentSerializer},
        examples=[asked(NEW_PAYMENT), answered(PAYMENT, "201"), answered(PAYMENT)],
    )
    @action(detail=True, methods=["get", "post"], url_path="payments", url_name="payments")
    def payments(self, request: Request, **_: Any) -> Response:
        invoice = self.get_object()
        if request.method != "POST":
            return self._page(invoice.payments.select_related("invoice"), PaymentSerializer)
        form = NewPaymentSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        fields = dict(form.validated_data)
        record = payments.refund if fields.pop("kind") == Payment.Kind.REFUND else payments.record_payment
        return _once(*record(invoice.pk, **fields, actor=actor_of(request)))

    @extend_schema(
        operation_id="write_off_invoice",
        request=WriteOffSerializer,
        responses={200: PaymentSerializer, 201: PaymentSerializer},
        examples=[asked(NEW_WRITE_OFF), answered(WRITE_OFF, "201"), answered(WRITE_OFF)],
    )
    @action(detail=True, methods=["post"], url_path="write-off", url_name="write-off")
    def write_off(self, request: Request, **_: Any) -> Response:
        """Gives up what is due of an invoice, so that it is not overdue any more.

        A payment that comes after all takes the place of what was written off.
        """
        form = WriteOffSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return _once(*payments.write_off(self.get_object().pk, **form.validated_data, actor=actor_of(request)))

    @extend_schema(
        methods=["GET"],
        operation_id="list_invoice_credit_notes",
        description="Lists the credit notes of an invoice, newest first.",
        responses=CreditNoteSerializer(many=True),
        examples=[answered(CREDIT_NOTE)],
    )
    @extend_schema(
        methods=["POST"],
        operation_id="create_credit_note",
        description="Takes a final invoice back, whole or by line: a credit note with a number of its own."
        "\n\nOf a line at most what is left of it can be credited. Taxes follow by their percentage; the parts add up "
        "to the whole tax.",
        request=NewCreditNoteSerializer,
        responses={201: CreditNoteSerializer},
        examples=[asked(NEW_CREDIT_NOTE), answered(CREDIT_NOTE, "201")],
    )
    @action(detail=True, methods=["get", "post"], url_path="credit-notes", url_name="credit-notes")
    def credit_notes(self, request: Request, **_: Any) -> Response:
        invoice = self.get_object()
        if request.method != "POST":
            return self._page(_notes().filter(invoice=invoice), CreditNoteSerializer)
        form = NewCreditNoteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        note = credit_notes.issue_credit_note(
            invoice.pk,
            reason=form.validated_data["reason"],
            amounts=form.validated_data.get("lines"),
            actor=actor_of(request),
        )
        return Response(CreditNoteSerializer(_notes().get(pk=note.pk)).data, status.HTTP_201_CREATED)

    @extend_schema(operation_id="void_invoice", request=ReasonSerializer, examples=[asked(WHY), answered(VOID)])
    @action(detail=True, methods=["post"])
    def void(self, request: Request, **_: Any) -> Response:
        """Takes a final invoice back for good: a credit note of all that is left, and the status `void`.

        What was paid stays recorded and is owed back, and credits that it drew are given back. Its period has no
        invoice then; `reissue` makes another one.
        """
        form = ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        invoice = voiding.void_invoice(self.get_object().pk, **form.validated_data, actor=actor_of(request))
        return self._told(invoice, status.HTTP_200_OK)

    @extend_schema(
        operation_id="reissue_invoice",
        request=ReasonSerializer,
        responses={201: InvoiceSerializer},
        examples=[asked(WHY), answered(REISSUED, "201")],
    )
    @action(detail=True, methods=["post"])
    def reissue(self, request: Request, **_: Any) -> Response:
        """Makes an invoice void, unless it is already, and opens another one for the same period.

        That is computed from the usage, promotions and taxes of now, and becomes final with the next closing, unless
        it is held or waits for approval.
        """
        form = ReasonSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        new = voiding.reissue(self.get_object().pk, **form.validated_data, actor=actor_of(request))
        return self._told(new, status.HTTP_201_CREATED)

    def _told(self, invoice: Invoice, code: int) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=invoice.pk)).data, code)

    def _page(self, rows: "QuerySet[Any]", serializer: type[serializers.Serializer[Any]]) -> Response:
        assert isinstance(self.paginator, CursorPagination)
        page = self.paginator.paginate_queryset(rows, self.request, self)
        return self.paginator.get_paginated_response(serializer(page, many=True).data)


def _once(payment: Payment, is_new: bool) -> Response:
    code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return Response(PaymentSerializer(payment).data, code)


def _notes() -> "QuerySet[CreditNote]":
    return CreditNote.objects.select_related("invoice__customer").prefetch_related("lines__invoice_line")


class CreditNoteQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)
    invoice = serializers.CharField(max_length=40, required=False, help_text="Its number.")


@extend_schema_view(
    retrieve=extend_schema(
        operation_id="get_credit_note",
        description="Reads a credit note, by its number.",
        examples=[answered(CREDIT_NOTE)],
    ),
)
class CreditNoteViewSet(CreditNotePapers, mixins.RetrieveModelMixin, viewsets.GenericViewSet[CreditNote]):
    """Credit notes, newest first."""

    permissions = {"pdf": "invoices.view_creditnote"}
    queryset = CreditNote.objects.all()
    serializer_class = CreditNoteSerializer
    pagination_class = NewestFirst
    customer_keys = {"list", "retrieve", "pdf"}
    lookup_field = "number"

    def get_queryset(self) -> "QuerySet[CreditNote]":
        notes = _notes()
        own = customer_of(self.request)
        return notes if own is None else notes.filter(invoice__customer=own)

    def get_object(self) -> CreditNote:
        note: CreditNote = get_object_or_404(self.get_queryset(), number=self.kwargs["number"])
        return note

    @extend_schema(
        operation_id="list_credit_notes",
        parameters=[
            OpenApiParameter("customer", str, description="Its key."),
            OpenApiParameter("invoice", str, description="Its number."),
        ],
        responses=CreditNoteSerializer(many=True),
        examples=[answered(CREDIT_NOTE)],
        filters=False,
    )
    def list(self, request: Request, **_: Any) -> Response:
        """Lists credit notes, newest first."""
        query = query_of(request, CreditNoteQuery)
        notes = self.get_queryset()
        if "customer" in query:
            require_customer(request, query["customer"].key)
            notes = notes.filter(invoice__customer=query["customer"])
        if "invoice" in query:
            notes = notes.filter(invoice__number=query["invoice"])
        page = self.paginate_queryset(notes)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
