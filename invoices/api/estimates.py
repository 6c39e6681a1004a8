"""`POST /v1/plans/{key}/estimate`: what typed quantities would cost, by the draft beside the active version."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from invoices.api.serializers import LineSerializer
from invoices.plan_estimates import TypedUsage, UsageFault, estimate, invoice_lines
from invoices.pricing_of import priced_version
from meters.api.examples import answered, asked
from meters.api.serializers import ByKey, NumberField, Strict
from meters.decoding import MAX_DIMENSION_TEXT
from meters.models import Customer
from pricing.api.fields import ItemByKey
from pricing.api.versions import KEY, PlanVersionMixin
from pricing.models import PlanVersion
from pricing.money import amount_text, total_of
from pricing.taxes import tax_rates_of
from pricing.terms import TaxTerms

LARGEST = 10**24
MOST_USAGE, MOST_VALUES, MOST_VERSIONS = 200, 10_000, 5
MOST_DIMENSIONS = 20


class TypedUsageSerializer(Strict):
    """Usage of one product item in a period."""

    meter = ItemByKey(help_text="The key of the product item's meter.")
    quantity = NumberField(
        min_value=0, max_value=LARGEST, required=False, help_text="In the meter's unit. Left out: the sum of `values`."
    )
    dimensions = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=MAX_DIMENSION_TEXT, trim_whitespace=False),
        default=dict,
        help_text="Which usage it is, for rates by dimension; what is not named is the empty text.",
    )
    values = serializers.ListField(
        child=NumberField(min_value=0, max_value=LARGEST),
        required=False,
        max_length=MOST_VALUES,
        help_text="Of the single events, in order, for a percentage with limits or fees for each event.",
    )

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "values" in asked:
            total = total_of(asked["values"])
            if asked.setdefault("quantity", total) != total:
                raise serializers.ValidationError({"quantity": "It is not what the values sum up to."})
        if "quantity" not in asked:
            raise serializers.ValidationError({"quantity": "Give a quantity, or the values that sum up to it."})
        return asked


class EstimateSerializer(Strict):
    usage = serializers.ListField(child=TypedUsageSerializer(), max_length=MOST_USAGE, default=list)
    versions = serializers.ListField(
        child=serializers.CharField(max_length=20),
        max_length=MOST_VERSIONS,
        required=False,
        help_text="Numbers, `draft` or `active`. Left out: the draft and the active version, where there are both.",
    )
    fees = serializers.DictField(
        child=NumberField(min_value=0, max_value=LARGEST),
        default=dict,
        help_text="Quantities in place of the fees' own, by key.",
    )
    first_period = serializers.BooleanField(default=False, help_text="With the fees that are charged once.")
    customer = ByKey(queryset=Customer.objects.all(), required=False, help_text="With its taxes. Left out: before tax.")


class EstimatedSerializer(serializers.Serializer[Any]):
    """What it comes to by one version. Amounts are of a whole period without promotions."""

    version = serializers.IntegerField(help_text="Its number.")
    status = serializers.ChoiceField(PlanVersion.Status.choices)
    currency = serializers.CharField()
    subtotal = serializers.CharField(help_text="Before tax.")
    total = serializers.CharField()
    lines = LineSerializer(many=True)


class EstimatesSerializer(serializers.Serializer[Any]):
    estimates = EstimatedSerializer(many=True)


LINE = {
    "position": 1,
    "kind": "usage",
    "meter": "ApiCalls",
    "where": {},
    "fee": None,
    "promotion": None,
    "tax_rate": None,
    "name": "ApiCalls",
    "unit": "calls",
    "quantity": "6500",
    "amount": "10.00",
    "rate": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
    "steps": [
        {"kind": "included", "quantity": "5000", "of": "5000", "amount": "0"},
        {
            "kind": "blocks",
            "quantity": "1500",
            "blocks": "2",
            "block_size": "1000",
            "block_price": "5",
            "partial_block": "round_up",
            "amount": "10",
        },
    ],
    "explanation": [
        "5,000 of 5,000 free calls used.",
        "1,500 calls = 2 blocks x $5.00 = $10.00.",
        "A started block counts in full.",
    ],
}
EXAMPLE = {
    "estimates": [
        {"version": 1, "status": "active", "currency": "USD", "subtotal": "10.00", "total": "10.00", "lines": [LINE]}
    ]
}


class PlanEstimateView(PlanVersionMixin, APIView):
    """What quantities cost by versions of a plan."""

    permissions = {"POST": "pricing.view_plan"}
    scopes = {"POST": "read"}

    @extend_schema(
        operation_id="estimate_plan",
        parameters=[KEY],
        request=EstimateSerializer,
        responses=EstimatesSerializer,
        examples=[
            asked({"usage": [{"meter": "ApiCalls", "quantity": "6500"}], "fees": {"seats": "3"}}),
            answered(EXAMPLE),
        ],
    )
    def post(self, request: Request, key: str) -> Response:
        """Estimates what quantities would cost in a whole period, line by line with steps, by each version asked for.

        Changes nothing. Usage of the same rate is added up; usage that nothing prices is a line of kind `unpriced`.
        """
        self.get_plan()
        form = EstimateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        versions = self._versions(sent.get("versions"))
        _check_fees(sent["fees"], versions)
        return Response({"estimates": [_estimated(version, sent) for version in versions]})

    def _versions(self, names: list[str] | None) -> list[PlanVersion]:
        found = []
        for index, name in enumerate(("active", "draft") if names is None else names):
            try:
                found.append(self.get_version(name))
            except NotFound as error:
                if names is not None:
                    raise serializers.ValidationError({"versions": {str(index): [str(error.detail)]}}) from error
        return found


def _check_fees(quantities: dict[str, Any], versions: list[PlanVersion]) -> None:
    known = {fee.key for version in versions for fee in version.fees.all() if fee.percent is None}
    unknown = {key: ["No version has a fee with this key that is counted."] for key in quantities if key not in known}
    if unknown:
        raise serializers.ValidationError({"fees": unknown})


def _estimated(version: PlanVersion, sent: dict[str, Any]) -> dict[str, Any]:
    tax_rates = tax_rates_of(sent["customer"]) if "customer" in sent else []
    try:
        made = estimate(
            priced_version(version),
            [_typed(one) for one in sent["usage"]],
            fee_quantities=sent["fees"],
            is_first_period=sent["first_period"],
            taxes=[TaxTerms(rate.pk, rate.name, rate.percent) for rate in tax_rates],
        )
    except UsageFault as fault:
        raise serializers.ValidationError({"usage": {str(fault.index): {fault.name: [fault.message]}}}) from fault
    lines = invoice_lines(made, version.currency, tax_rates=tax_rates)
    return {
        "version": version.number,
        "status": version.status,
        "currency": version.currency,
        "subtotal": amount_text(made.subtotal, version.currency),
        "total": amount_text(made.total, version.currency),
        "lines": LineSerializer(lines, many=True).data,
    }


def _typed(sent: dict[str, Any]) -> TypedUsage:
    values = tuple(sent["values"]) if "values" in sent else None
    return TypedUsage(sent["meter"], sent["quantity"], sent["dimensions"], values)
