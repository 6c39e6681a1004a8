"""`GET /v1/invoices`: a customer's invoices with lines and steps."""

import re
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from invoices.api.examples import INVOICE
from invoices.api.holding import HoldingActions
from invoices.api.serializers import InvoiceSerializer
from invoices.due import overtaken
from invoices.models import Invoice, InvoiceLine
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered
from meters.api.pagination import CursorPagination
from meters.api.serializers import ByKey
from meters.models import Customer

NUMERAL = re.compile("[0-9]{1,18}")


class NewestFirst(CursorPagination):
    ordering = "-id"


class InvoiceQuery(serializers.Serializer[Any]):
    customer = ByKey(queryset=Customer.objects.all())
    status = serializers.ChoiceField(Invoice.Status.choices, required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_invoices",
        description="Lists a customer's invoices, newest first. An open one is an estimate that follows usage up to "
        "`usage_version`; a final one never changes.",
        parameters=[
            OpenApiParameter("customer", str, description="Required, but for a key of one customer."),
            OpenApiParameter("status", str, enum=Invoice.Status.values),
        ],
        examples=[answered(INVOICE)],
    ),
    retrieve=extend_schema(
        operation_id="get_invoice",
        description="Reads an invoice, by its id or its number. Its lines stand in the order in which they are "
        "computed: usage, fees, promotions, minimum or overage, taxes. Each says the way to its amount, in `steps` and "
        "in words.",
        examples=[answered(INVOICE)],
    ),
)
class InvoiceViewSet(
    HoldingActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Invoice]
):
    """Invoices, newest first. An open one is an estimate that follows usage up to `usage_version`."""

    queryset = Invoice.objects.all()
    serializer_class = InvoiceSerializer
    pagination_class = NewestFirst
    customer_keys = {"list", "retrieve"}

    def get_object(self) -> Invoice:
        """By its id, or by its number, which is never made of digits alone."""
        name = self.kwargs["pk"]
        by = {"pk": int(name)} if NUMERAL.fullmatch(name) else {"number": name}
        invoice: Invoice = get_object_or_404(self.get_queryset(), **by)
        return invoice

    def get_queryset(self) -> QuerySet[Invoice]:
        about = ("product_item__meter", "promotion__promotion", "tax_rate", "invoice")
        lines = InvoiceLine.objects.select_related(*about).order_by("position")
        invoices = (
            super()
            .get_queryset()
            .select_related("customer__billing_profile", "plan_version__plan")
            .prefetch_related(Prefetch("lines", queryset=lines))
            .annotate(is_behind=Q(status__in=Invoice.LIVE) & overtaken())
        )
        own = customer_of(self.request)
        if own is not None:
            invoices = invoices.filter(customer=own)
        if self.action != "list":
            return invoices
        asked = {name: self.request.query_params[name] for name in self.request.query_params}
        if own is not None:
            require_customer(self.request, asked.setdefault("customer", own.key))
        query = InvoiceQuery(data=asked)
        query.is_valid(raise_exception=True)
        return invoices.filter(**query.validated_data)
