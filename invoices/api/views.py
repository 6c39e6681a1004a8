"""`GET /v1/invoices`: a customer's invoices with lines and steps."""

import re
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from invoices.api.examples import INVOICE
from invoices.api.holding import HoldingActions
from invoices.api.opened import OpenedLines
from invoices.api.papers import InvoicePapers
from invoices.api.serializers import InvoiceSerializer
from invoices.api.settling import SettlingActions
from invoices.due import overtaken
from invoices.models import Invoice, InvoiceLine
from invoices.settling.settlement import overdue
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered
from meters.api.pagination import CursorPagination
from meters.api.problems import invalid
from meters.api.serializers import ByKey
from meters.models import Customer

NUMERAL = re.compile("[0-9]{1,18}")


class NewestFirst(CursorPagination):
    ordering = "-id"


class InvoiceQuery(serializers.Serializer[Any]):
    customer = ByKey(queryset=Customer.objects.all(), required=False)
    status = serializers.ChoiceField(Invoice.Status.choices, required=False)
    overdue = serializers.BooleanField(required=False, allow_null=True, default=None)

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "customer" not in asked and not asked["overdue"]:
            raise serializers.ValidationError({"customer": "This field is required."}, code="required")
        return asked


@extend_schema_view(
    list=extend_schema(
        operation_id="list_invoices",
        description="Lists a customer's invoices, newest first. An open one is an estimate that follows usage up to "
        "`usage_version`; a final one never changes.",
        parameters=[
            OpenApiParameter(
                "customer", str, description="Required, but for a key of one customer, and for all that is overdue."
            ),
            OpenApiParameter("status", str, enum=Invoice.Status.values),
            OpenApiParameter("overdue", bool, description="Those that should have been paid before today, or not."),
        ],
        examples=[answered(INVOICE)],
    ),
)
class InvoiceViewSet(
    HoldingActions, SettlingActions, OpenedLines, InvoicePapers, mixins.ListModelMixin, viewsets.GenericViewSet[Invoice]
):
    """Invoices, newest first. An open one is an estimate that follows usage up to `usage_version`."""

    permissions = {
        "pdf": "invoices.view_invoice",
        "csv": "invoices.view_invoice",
        "line_events": "invoices.view_invoice meters.view_event",
        "approve": "invoices.change_invoice",
        "finalize": "invoices.change_invoice",
        "hold": "invoices.change_invoice",
        "release": "invoices.change_invoice",
        "GET payments": "invoices.view_payment",
        "POST payments": "invoices.add_payment",
        "GET credit_notes": "invoices.view_creditnote",
        "POST credit_notes": "invoices.add_creditnote",
        "write_off": "invoices.add_payment",
        "void": "invoices.add_creditnote",
        "reissue": "invoices.add_creditnote",
    }
    queryset = Invoice.objects.all()
    serializer_class = InvoiceSerializer
    pagination_class = NewestFirst
    customer_keys = {"list", "retrieve", "line_events", "pdf", "csv"}
    # A number may have dots and slashes in it; what is done to an invoice is a last part of small letters.
    lookup_value_regex = r"(?:(?!/[a-z-]+/?$).)+"

    def get_object(self) -> Invoice:
        """By its id, or by its number, which is never made of digits alone."""
        name = self.kwargs["pk"]
        by = {"pk": int(name)} if NUMERAL.fullmatch(name) else {"number": name}
        invoice: Invoice = get_object_or_404(self.get_queryset(), **by)
        return invoice

    def get_queryset(self) -> QuerySet[Invoice]:
        about = ("product_item__meter", "promotion__promotion", "tax_rate", "invoice", "corrects")
        lines = InvoiceLine.objects.select_related(*about).order_by("position")
        invoices = (
            super()
            .get_queryset()
            .select_related("customer__billing_profile", "plan_version__plan", "replaces")
            .prefetch_related(Prefetch("lines", queryset=lines))
            .annotate(is_behind=Q(status__in=Invoice.LIVE) & overtaken())
        )
        own = customer_of(self.request)
        if own is not None:
            invoices = invoices.filter(customer=own)
        if self.action != "list":
            return invoices
        asked = {name: self.request.query_params[name] for name in self.request.query_params}
        if "expand" in asked:
            raise invalid("expand", "One invoice at a time can be opened: ask for it by its number.", parameter=True)
        if own is not None:
            require_customer(self.request, asked.setdefault("customer", own.key))
        query = InvoiceQuery(data=asked)
        query.is_valid(raise_exception=True)
        found = dict(query.validated_data)
        is_overdue = found.pop("overdue")
        invoices = invoices.filter(**found)
        if is_overdue is None:
            return invoices
        late = overdue(Invoice.objects.all(), timezone.now())
        return invoices.filter(pk__in=late.values("pk")) if is_overdue else invoices.exclude(pk__in=late.values("pk"))
