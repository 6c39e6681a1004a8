"""`/v1/plans`: what customers are put on. The prices are in their versions."""

from typing import Any

from django.db.models import Max, Q, QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, asked, resource_docs
from meters.api.serializers import ByKey, Strict
from meters.models import Customer
from pricing.api.examples import CREATED_PLAN, NEW_PLAN, PLAN, PRIVATE_PLAN, VERSION
from pricing.api.fields import WHOLE, activator_of, below, of_the_whole, query_of
from pricing.api.plan_serializers import PlanSerializer, PrivatePlanSerializer, VersionSerializer
from pricing.api.versions import VERSIONS
from pricing.models import Plan, PlanVersion
from pricing.plans import activate, retire
from pricing.private_plans import make_private


class PlanQuery(Strict):
    """What the list can be narrowed to."""

    status = serializers.ChoiceField(Plan.Status.choices, required=False)
    base = ByKey(queryset=Plan.objects.all(), required=False, help_text="Private plans made of this one.")
    customer = ByKey(queryset=Customer.objects.all(), required=False, help_text="Private plans of this customer.")


class ActivateSerializer(Strict):
    """Whether customers on the plan get the new version."""

    moves_existing = serializers.BooleanField(
        default=True,
        help_text="True: customers on the plan get the new version with their next period. False: they keep what they "
        "have, and only new assignments get it.",
    )


DOCS = resource_docs(
    "plan",
    {
        "list": "Lists plans.",
        "retrieve": "Reads a plan. Its prices are in its versions.",
        "create": "Creates a plan.",
        "update": "Changes a plan's name, its description, whether it is the default plan, whether customers on other "
        "plans are shown it in the portal (`shown`) and may change to it by themselves (`self_service`), and whether a "
        "private one follows its base. The key never changes, and prices change by a new version.",
    },
    PLAN,
    NEW_PLAN,
    {"name": "Awesome Integration API"},
) | {
    "list": extend_schema(
        operation_id="list_plans",
        description="Lists plans, those of single customers too. In the order in which they were made, a page at a "
        "time.",
        parameters=[PlanQuery],
        examples=[answered(PLAN)],
    ),
    "create": extend_schema(
        operation_id="create_plan",
        description="Creates a plan with an empty draft, version 1. Put rates and fees into it, then activate it. Only "
        "an active plan can be the default plan: say so by `PATCH` afterwards.",
        examples=[asked(NEW_PLAN), answered(CREATED_PLAN, "201")],
    ),
}


@extend_schema_view(**DOCS)
class PlanViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[Plan],
):
    """Plans, by their key."""

    permissions = {
        "activate": "pricing.change_plan",
        "retire": "pricing.change_plan",
        "private_plans": "pricing.change_plan",
    }
    queryset = Plan.objects.all()
    serializer_class = PlanSerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    http_method_names = ["get", "head", "options", "post", "patch"]

    def get_queryset(self) -> QuerySet[Plan]:
        plans = super().get_queryset().select_related("base", "customer")
        versions = {
            f"{name}_version": Max("versions__number", filter=Q(versions__status=name))
            for name in (PlanVersion.Status.ACTIVE.value, PlanVersion.Status.DRAFT.value)
        }
        plans = plans.annotate(**versions)
        return plans.filter(**query_of(self.request, PlanQuery)) if self.action == "list" else plans

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        form = self.get_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        return self._answer(form.save(), status.HTTP_201_CREATED)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        form = self.get_serializer(self.get_object(), data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        return self._answer(form.save())

    @extend_schema(
        operation_id="activate_plan",
        request=ActivateSerializer,
        responses=VersionSerializer,
        examples=[asked({"moves_existing": True}), answered(VERSION)],
    )
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **_: Any) -> Response:
        """Activates a plan: its draft is frozen, and is what customers get from now on.

        Periods that have begun keep the version they began with. Every private plan that follows this one gets a new
        version too. A retired plan without a draft is taken back into use as it was.
        """
        form = ActivateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with of_the_whole():
            version = activate(self.get_object(), **form.validated_data, actor=activator_of(request))
        return Response(VersionSerializer(VERSIONS.get(pk=version.pk)).data)

    @extend_schema(operation_id="retire_plan", request=None, examples=[answered(PLAN | {"status": "retired"})])
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, **_: Any) -> Response:
        """Retires a plan: no new customer gets it, also not by default. Those on it stay."""
        plan = self.get_object()
        with of_the_whole():
            retire(plan)
        return self._answer(plan)

    @extend_schema(
        operation_id="create_private_plan",
        request=PrivatePlanSerializer,
        responses={201: OpenApiResponse(PlanSerializer)},
        examples=[asked({"customer": "acme", "follows_base": True}), answered(PRIVATE_PLAN, "201")],
    )
    @action(detail=True, methods=["post"], url_path="private-plans")
    def private_plans(self, request: Request, **_: Any) -> Response:
        """Makes a private plan of this one for a customer: a draft with the same prices.

        Give it the customer's own rates, fees and terms, activate it, and put the customer on it by an assignment or
        a change of plan. One that follows its base gets a new version whenever the base does, with what is the
        customer's own kept; one that does not stays as it is.
        """
        form = PrivatePlanSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        with below(WHOLE):
            plan = make_private(self.get_object(), **form.validated_data)
        return self._answer(plan, status.HTTP_201_CREATED)

    def _answer(self, plan: Plan, code: int = status.HTTP_200_OK) -> Response:
        """The plan as it is now, with the numbers of its versions."""
        return Response(self.get_serializer(self.get_queryset().get(pk=plan.pk)).data, code)
