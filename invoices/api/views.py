"""`GET /v1/invoices`: a customer's invoices with lines and steps."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from invoices.api.serializers import InvoiceSerializer
from invoices.models import Invoice, InvoiceLine
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered
from meters.api.pagination import CursorPagination
from meters.api.serializers import ByKey
from meters.models import Customer


class NewestFirst(CursorPagination):
    ordering = "-id"


class InvoiceQuery(serializers.Serializer[Any]):
    customer = ByKey(queryset=Customer.objects.all())
    status = serializers.ChoiceField(Invoice.Status.choices, required=False)


EXAMPLE = {
    "id": 12,
    "number": "",
    "status": "open",
    "customer": "acme",
    "plan": "AwesomeIntegrationApi",
    "plan_version": 1,
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
    "time_zone": "UTC",
    "currency": "USD",
    "total": "40.00",
    "usage_version": 318,
    "usage_at": "2026-11-22T14:00:01Z",
    "computed_at": "2026-11-22T14:00:01Z",
    "finalized_at": None,
    "lines": [
        {
            "position": 1,
            "kind": "usage",
            "meter": "ApiCalls",
            "name": "ApiCalls",
            "unit": "calls",
            "quantity": "12300",
            "amount": "40.00",
            "rate": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
            "steps": [
                {"kind": "included", "quantity": "5000", "of": "5000", "amount": "0"},
                {
                    "kind": "blocks",
                    "quantity": "7300",
                    "blocks": "8",
                    "block_size": "1000",
                    "block_price": "5",
                    "partial_block": "round_up",
                    "amount": "40",
                },
            ],
            "explanation": [
                "5,000 of 5,000 free calls used.",
                "7,300 calls = 8 blocks x $5.00 = $40.00.",
                "A started block counts in full.",
            ],
        }
    ],
}


@extend_schema_view(
    list=extend_schema(
        operation_id="list_invoices",
        description="Lists a customer's invoices, newest first. An open one is an estimate that follows usage up to "
        "`usage_version`; a final one never changes.",
        parameters=[
            OpenApiParameter("customer", str, description="Required, but for a key of one customer."),
            OpenApiParameter("status", str, enum=Invoice.Status.values),
        ],
        examples=[answered(EXAMPLE)],
    ),
    retrieve=extend_schema(
        operation_id="get_invoice",
        description="Reads an invoice. Its lines say the way from the quantity to the amount, in `steps` and in words.",
        examples=[answered(EXAMPLE)],
    ),
)
class InvoiceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Invoice]):
    """Invoices, newest first. An open one is an estimate that follows usage up to `usage_version`."""

    queryset = Invoice.objects.all()
    serializer_class = InvoiceSerializer
    pagination_class = NewestFirst
    customer_keys = {"list", "retrieve"}

    def get_queryset(self) -> QuerySet[Invoice]:
        lines = InvoiceLine.objects.select_related("product_item__meter", "invoice").order_by("position")
        invoices = (
            super()
            .get_queryset()
            .select_related("customer", "plan_version__plan")
            .prefetch_related(Prefetch("lines", queryset=lines))
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
