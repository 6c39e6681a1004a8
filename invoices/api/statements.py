"""`GET /v1/statements/{customer}`: what was owed, each document, what is owed then, and what runs."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from invoices.api.statement_examples import STATEMENT
from invoices.prepaid.checks import currency_of
from invoices.statements.running_bills import RunningBill, RunningBills, running_bills
from invoices.statements.statement import KINDS, ZERO, Entry, Statement, currencies_of, statement_of
from meters.aggregation import plain
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered
from meters.api.serializers import Strict
from meters.api.usage_query import InstantField, span_of, text_of
from meters.models import Customer
from meters.periods import Period
from pricing.api.fields import query_of
from pricing.money import amount_text


class StatementQuery(Strict):
    """`from` is a word of the language, so it cannot be an attribute."""

    currency = serializers.CharField(max_length=3, required=False)
    to = InstantField(required=False)
    period = serializers.CharField(required=False)

    def get_fields(self) -> Any:
        return super().get_fields() | {"from": InstantField(required=False)}


class StatementEntrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    day = serializers.DateField(help_text="In the customer's time zone.")
    kind = serializers.ChoiceField(KINDS)
    number = serializers.CharField(help_text="The credit note's, else that of the invoice that it is about.")
    invoice = serializers.IntegerField(help_text="The id of the invoice that it is about.")
    words = serializers.CharField()
    detail = serializers.CharField()
    reference = serializers.CharField(help_text="The payment's; empty for a key of one customer.")
    amount = serializers.CharField(help_text="Above zero where more is owed by it.")
    balance = serializers.CharField(help_text="What is owed after it; below zero, it is owed back.")


class RunningLineSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    name = serializers.CharField()
    part = serializers.CharField(help_text="Which part of the usage it is about.")
    quantity = serializers.CharField(allow_null=True)
    unit = serializers.CharField()
    amount = serializers.CharField()


class RunningInvoiceSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    plan = serializers.CharField()
    status = serializers.CharField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    total = serializers.CharField()
    credits = serializers.CharField(help_text="What prepaid credits would pay of it.")
    lines = RunningLineSerializer(many=True)


class RunningSerializer(serializers.Serializer[Any]):
    """An estimate: the invoices of all assignments that are not final, and not in the balance."""

    as_of = serializers.DateTimeField()
    total = serializers.CharField()
    credits = serializers.CharField(help_text="What prepaid credits would pay of it.")
    left = serializers.CharField()
    invoices = RunningInvoiceSerializer(many=True)


class StatementSerializer(serializers.Serializer[Any]):
    customer = serializers.CharField()
    currency = serializers.CharField()
    to = serializers.DateTimeField(help_text="Not included.")
    as_of = serializers.DateTimeField(help_text="Up to when documents are in it: `to`, or now where that is later.")
    time_zone = serializers.CharField()
    opening_balance = serializers.CharField()
    closing_balance = serializers.CharField()
    entries = StatementEntrySerializer(many=True)
    running = RunningSerializer()
    credits_left = serializers.CharField(help_text="Of prepaid credits, now.")

    def get_fields(self) -> Any:
        return super().get_fields() | {"from": serializers.DateTimeField()}


class StatementView(APIView):
    """What a customer owes, and how it came about."""

    permissions = {"GET": "meters.view_customer invoices.view_invoice"}
    customer_keys = ("GET",)

    @extend_schema(
        operation_id="get_statement",
        parameters=[
            OpenApiParameter("customer", str, OpenApiParameter.PATH, description="Its key."),
            OpenApiParameter("currency", str, description="Left out: that of the newest invoice."),
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, description="Left out: the beginning of the running month."
            ),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Not included. Left out: the month's end."),
            OpenApiParameter("period", str, description="In place of `from` and `to`: 2026, 2026-11, last_month."),
        ],
        responses=StatementSerializer,
        examples=[answered(STATEMENT)],
    )
    def get(self, request: Request, customer: str) -> Response:
        """Reads a customer's statement in one currency: the balance, each document that moved it, the balance then.

        A document counts from the moment that it was issued or recorded. The closing balance is the sum of what is due
        of all numbered invoices at the end. `running` is apart from it.
        """
        require_customer(request, customer)
        found = get_object_or_404(Customer, key=customer)
        now = timezone.now()
        currency, period = _asked(request, found, now)
        statement = statement_of(found, currency, period, now=now)
        running = running_bills(found, currency, now=now, until=period.end)
        return Response(_document(statement, running, with_references=customer_of(request) is None))


def _asked(request: Request, customer: Customer, now: datetime) -> tuple[str, Period]:
    query = query_of(request, StatementQuery)
    code = query.get("currency") or next(iter(currencies_of(customer)), settings.ACCOUNT_CURRENCY)
    return currency_of(code), span_of(query, customer.zone, now)


def _document(statement: Statement, running: RunningBills, *, with_references: bool) -> dict[str, Any]:
    currency, left = statement.currency, running.credits_left
    return {
        "customer": statement.customer.key,
        "currency": currency,
        "from": text_of(statement.period.start),
        "to": text_of(statement.period.end),
        "as_of": text_of(statement.as_of),
        "time_zone": statement.zone.key,
        "opening_balance": amount_text(statement.opening, currency),
        "closing_balance": amount_text(statement.closing, currency),
        "entries": [_entry(one, currency, with_references=with_references) for one in statement.entries],
        "running": {
            "as_of": text_of(running.as_of),
            "total": amount_text(running.total, currency),
            "credits": amount_text(running.credits, currency),
            "left": amount_text(running.left, currency),
            "invoices": [_invoice(bill) for bill in running.bills],
        },
        "credits_left": amount_text(left.amount if left else ZERO, currency),
    }


def _entry(one: Entry, currency: str, *, with_references: bool) -> dict[str, Any]:
    return {
        "at": text_of(one.at),
        "day": f"{one.day}",
        "kind": one.kind,
        "number": one.number,
        "invoice": one.invoice_id,
        "words": one.words,
        "detail": one.detail,
        "reference": one.reference if with_references else "",
        "amount": amount_text(one.amount, currency),
        "balance": amount_text(one.balance, currency),
    }


def _invoice(bill: RunningBill) -> dict[str, Any]:
    invoice = bill.invoice
    return {
        "id": invoice.pk,
        "plan": bill.plan,
        "status": invoice.status,
        "period_start": text_of(invoice.period_start),
        "period_end": text_of(invoice.period_end),
        "total": amount_text(invoice.total, invoice.currency),
        "credits": amount_text(bill.credits, invoice.currency),
        "lines": [
            {
                "kind": one.line.kind,
                "name": one.line.name,
                "part": one.part,
                "quantity": None if one.quantity is None else plain(one.quantity),
                "unit": one.line.unit,
                "amount": amount_text(one.line.amount, invoice.currency),
            }
            for one in bill.lines
        ],
    }
