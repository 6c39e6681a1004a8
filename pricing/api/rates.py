"""The rates and fees of a plan version. Those of the draft can be set, changed and taken out."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, asked
from pricing.api.examples import DRAFT, FEE, NEW_FEE, NEW_RATE, RATE, SUPPORT_FEE, TIERS
from pricing.api.fields import of_the_whole
from pricing.api.plan_serializers import FeeSerializer, RateSerializer, VersionSerializer
from pricing.api.versions import KEY, NAME, RATES, VERSIONS, PlanVersionMixin
from pricing.models import Fee, Rate
from pricing.plans import remove_fee, remove_rate
from pricing.private_plans import drop_override

IN_VERSION = [KEY, NAME]


def _both(serializer: Any, what: str) -> dict[int, OpenApiResponse]:
    return {
        200: OpenApiResponse(serializer, f"In place of the {what} that there was."),
        201: OpenApiResponse(serializer, "New."),
    }


class InDraft(PlanVersionMixin):
    """What rates and fees have in common: they are set as a whole, and only in a draft."""

    permissions = {
        **dict.fromkeys(("list", "retrieve"), "pricing.view_plan"),
        **dict.fromkeys(("create", "partial_update", "destroy", "drop_override"), "pricing.change_plan"),
    }
    get_serializer: Any
    get_object: Any

    def set_new(self, request: Request, present: Any) -> Response:
        """Sets one in the draft, which is begun where there is none; `present(draft, sent)` is whether it replaces."""
        with transaction.atomic():
            draft = self.begin_draft()
            form = self.get_serializer(data=request.data)
            form.is_valid(raise_exception=True)
            replaces = present(draft, form.validated_data)
            made = form.save(plan_version=draft)
        code = status.HTTP_200_OK if replaces else status.HTTP_201_CREATED
        return Response(self.get_serializer(made).data, code)

    def change(self, request: Request) -> Response:
        self.get_draft()
        form = self.get_serializer(self.get_object(), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        return Response(self.get_serializer(form.save()).data)

    def drop_own(self) -> Response:
        draft = self.get_draft()
        with of_the_whole():
            drop_override(self.get_object())
        return Response(VersionSerializer(VERSIONS.get(pk=draft.pk)).data)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_rates",
        description="Lists the rates of a version: the prices of its product items.",
        parameters=IN_VERSION,
        examples=[answered(RATE)],
    ),
    retrieve=extend_schema(
        operation_id="get_rate", description="Reads a rate.", parameters=IN_VERSION, examples=[answered(RATE)]
    ),
)
class RateViewSet(InDraft, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Rate]):
    """The prices of product items in a plan version."""

    queryset = Rate.objects.all()
    serializer_class = RateSerializer

    def get_queryset(self) -> QuerySet[Rate]:
        return RATES.filter(plan_version=self.get_version())

    @extend_schema(
        operation_id="set_rate",
        parameters=IN_VERSION,
        responses=_both(RateSerializer, "rate"),
        examples=[
            asked(NEW_RATE, "Blocks"),
            asked({"product_item": "ApiCalls", "where": {"source": ["crm"]}, "parameters": TIERS}, "Tiers, filtered"),
            answered(RATE),
            answered(RATE, "201"),
        ],
    )
    def create(self, request: Request, **_: Any) -> Response:
        """Sets the price of a product item in a draft, in place of the one with the same `where`.

        A product item may have several rates: usage is priced by the matching one that names the most dimensions, the
        rate without `where` takes the rest. `draft` is begun where there is none.
        """
        return self.set_new(
            request,
            lambda draft, sent: draft.rates.filter(
                product_item=sent["product_item"], where=sent.get("where", {})
            ).exists(),
        )

    @extend_schema(
        operation_id="update_rate",
        parameters=IN_VERSION,
        examples=[asked({"parameters": TIERS}), answered(RATE | {"parameters": TIERS})],
    )
    def partial_update(self, request: Request, **_: Any) -> Response:
        """Changes a rate of a draft. Its parameters are replaced as a whole; product item and `where` stay."""
        return self.change(request)

    @extend_schema(operation_id="remove_rate", parameters=IN_VERSION, responses={204: None})
    def destroy(self, request: Request, **_: Any) -> Response:
        """Takes a rate out of a draft."""
        self.get_draft()
        with of_the_whole():
            remove_rate(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="drop_rate_override",
        parameters=IN_VERSION,
        request=None,
        responses=VersionSerializer,
        examples=[answered(DRAFT)],
    )
    def drop_override(self, request: Request, **_: Any) -> Response:
        """Gives up the customer's own rate in the draft of a private plan for that of the base plan.

        Answers with the draft.
        """
        return self.drop_own()


@extend_schema_view(
    list=extend_schema(
        operation_id="list_fees",
        description="Lists the fees of a version.",
        parameters=IN_VERSION,
        examples=[answered(FEE)],
    ),
    retrieve=extend_schema(
        operation_id="get_fee",
        description="Reads a fee, by its key.",
        parameters=IN_VERSION,
        examples=[answered(FEE)],
    ),
)
class FeeViewSet(InDraft, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Fee]):
    """Fixed amounts in a plan version, and percentages of what the rest comes to."""

    queryset = Fee.objects.all()
    serializer_class = FeeSerializer

    def get_queryset(self) -> QuerySet[Fee]:
        return Fee.objects.filter(plan_version=self.get_version()).select_related("plan_version__plan")

    def get_object(self) -> Fee:
        fee = self.get_queryset().filter(key=self.kwargs["fee"]).first()
        if fee is None:
            raise Http404
        return fee

    @extend_schema(
        operation_id="set_fee",
        parameters=IN_VERSION,
        responses=_both(FeeSerializer, "fee"),
        examples=[asked(NEW_FEE, "Seats"), asked(SUPPORT_FEE, "Support"), answered(FEE), answered(FEE, "201")],
    )
    def create(self, request: Request, **_: Any) -> Response:
        """Sets a fee in a draft, in place of the one with the same key.

        `recurring`: quantity times amount in every period. `one_time`: in the first. `percent`: of usage and other
        fees. `draft` is begun where there is none.
        """
        return self.set_new(request, lambda draft, sent: draft.fees.filter(key=sent["key"]).exists())

    @extend_schema(
        operation_id="update_fee",
        parameters=IN_VERSION,
        examples=[asked({"amount": "12"}), answered(FEE | {"amount": "12"})],
    )
    def partial_update(self, request: Request, **_: Any) -> Response:
        """Changes a fee of a draft. Fields that are not sent stay as they are; the key never changes."""
        return self.change(request)

    @extend_schema(operation_id="remove_fee", parameters=IN_VERSION, responses={204: None})
    def destroy(self, request: Request, **_: Any) -> Response:
        """Takes a fee out of a draft."""
        self.get_draft()
        with of_the_whole():
            remove_fee(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="drop_fee_override",
        parameters=IN_VERSION,
        request=None,
        responses=VersionSerializer,
        examples=[answered(DRAFT)],
    )
    def drop_override(self, request: Request, **_: Any) -> Response:
        """Gives up the customer's own fee in the draft of a private plan for that of the base plan.

        Answers with the draft.
        """
        return self.drop_own()
