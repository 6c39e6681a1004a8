"""`/v1/tax-rates` and `/v1/billing-profiles`: what is added to invoices, and to whom they are written."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from meters.api.examples import answered, asked, resource_docs
from meters.api.serializers import ByKey, NumberField, Strict
from meters.models import Customer
from pricing.api.customer_examples import NEW_TAX_RATE, PROFILE, TAX_RATE
from pricing.api.fields import KeyOf, Settable, of_the_whole, query_of
from pricing.models import BillingProfile, TaxRate
from pricing.taxes import retire_tax_rate, save_tax_rate, set_billing_profile


class TaxRateSerializer(Settable, serializers.ModelSerializer[TaxRate]):
    """A tax and its percentage."""

    percent = NumberField(help_text="For example 19.")

    class Meta:
        model = TaxRate
        fields = ["key", "name", "percent", "is_default", "retired_at", "created_at"]
        read_only_fields = ["retired_at", "created_at"]

    def create(self, validated_data: dict[str, Any]) -> TaxRate:
        return save_tax_rate(changes=validated_data)

    def update(self, instance: TaxRate, validated_data: dict[str, Any]) -> TaxRate:
        return save_tax_rate(instance, changes=validated_data)


class TaxRateQuery(Strict):
    retired = serializers.BooleanField(required=False, help_text="Only retired ones, or only the others.")


@extend_schema_view(
    **resource_docs(
        "tax_rate",
        {
            "list": "Lists tax rates. In the order in which they were made, a page at a time.",
            "retrieve": "Reads a tax rate.",
            "create": "Creates a tax rate. One that is for everybody is charged to customers that have none of their "
            "own; taxes do not stack.",
            "update": "Changes a tax rate. One that a final invoice has keeps its key, name and percentage: retire it "
            "and make another one.",
        },
        TAX_RATE,
        NEW_TAX_RATE,
        {"is_default": True},
    )
    | {
        "list": extend_schema(
            operation_id="list_tax_rates",
            description="Lists tax rates. In the order in which they were made, a page at a time.",
            parameters=[TaxRateQuery],
            examples=[answered(TAX_RATE)],
        )
    }
)
class TaxRateViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[TaxRate],
):
    """Taxes and their percentages, by their key."""

    permissions = {"retire": "pricing.change_taxrate"}
    queryset = TaxRate.objects.all()
    serializer_class = TaxRateSerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    http_method_names = ["get", "head", "options", "post", "patch"]

    def get_queryset(self) -> QuerySet[TaxRate]:
        rates = super().get_queryset()
        if self.action != "list":
            return rates
        retired = query_of(self.request, TaxRateQuery).get("retired")
        return rates if retired is None else rates.filter(retired_at__isnull=not retired)

    @extend_schema(
        operation_id="retire_tax_rate",
        request=None,
        examples=[answered(TAX_RATE | {"retired_at": "2026-12-01T00:00:00Z"})],
    )
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, **_: Any) -> Response:
        """Retires a tax rate: invoices that are not final are no longer charged it. It does not come back."""
        with of_the_whole():
            retired = retire_tax_rate(self.get_object())
        return Response(self.get_serializer(retired).data)


class BillingProfileSerializer(Settable, serializers.ModelSerializer[BillingProfile]):
    """What invoices need of a customer beside its plan: its taxes, and to whom they are written."""

    customer = KeyOf()
    tax_rates = ByKey(
        queryset=TaxRate.objects.all(),
        many=True,
        required=False,
        help_text="The customer's own; none: those that are for everybody.",
    )

    class Meta:
        model = BillingProfile
        fields = ["customer", "tax_rates", "tax_exempt", "tax_note", "tax_id", "legal_name", "address"]


CUSTOMER = OpenApiParameter("customer", str, OpenApiParameter.PATH, description="Its key.")


class BillingProfileView(APIView):
    """What a customer's invoices need beside its plan."""

    permissions = {"GET": "pricing.view_billingprofile", "PATCH": "pricing.change_billingprofile"}

    @extend_schema(
        operation_id="get_billing_profile",
        parameters=[CUSTOMER],
        responses=BillingProfileSerializer,
        examples=[answered(PROFILE)],
    )
    def get(self, request: Request, customer: str) -> Response:
        """Reads a customer's billing profile: its taxes, and to whom its invoices are written.

        A customer that was never given one has an empty one.
        """
        return Response(_profile_json(get_object_or_404(Customer, key=customer)))

    @extend_schema(
        operation_id="update_billing_profile",
        parameters=[CUSTOMER],
        request=BillingProfileSerializer(partial=True),
        responses=BillingProfileSerializer,
        examples=[asked({"tax_rates": ["vat-de"], "tax_id": "DE136695976"}), answered(PROFILE)],
    )
    def patch(self, request: Request, customer: str) -> Response:
        """Changes a customer's billing profile. Fields that are not sent stay as they are.

        Invoices that are not final follow at once.
        """
        found = get_object_or_404(Customer, key=customer)
        form = BillingProfileSerializer(_profile(found), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        set_billing_profile(found, **form.validated_data)
        return Response(_profile_json(found))


def _profile(customer: Customer) -> BillingProfile:
    """A customer's, or an empty one that is not stored."""
    return BillingProfile.objects.filter(customer=customer).first() or BillingProfile(customer=customer)


def _profile_json(customer: Customer) -> Any:
    return BillingProfileSerializer(_profile(customer)).data
