"""`/v1/assignments`: who is on which plan, from which day. Nothing is deleted: an assignment ends."""

from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, asked
from meters.api.serializers import ByKey, DayField, NumberField, Strict
from meters.models import Customer
from meters.periods import local_date, read_day
from pricing.api.customer_examples import ASSIGNMENT, CHANGED, LOG_ENTRY, NEW_ASSIGNMENT, QUANTITY
from pricing.api.fields import KeyOf, NewestFirst, Settable, actor_of, query_of
from pricing.assignments import NOW, PERIOD_END, assign, change_plan, end, set_quantity
from pricing.models import Assignment, AssignmentLog, AssignmentQuantity, Plan

SOURCE = Assignment.Source.API
ASSIGNMENTS = Assignment.objects.select_related("customer", "plan").prefetch_related(
    Prefetch("quantities", queryset=AssignmentQuantity.objects.order_by("fee_key", "starts_on"))
)


class QuantitySerializer(Strict, serializers.ModelSerializer[AssignmentQuantity]):
    """How many of a fee a customer has from a day on."""

    quantity = NumberField()
    starts_on = DayField(help_text="The first day with it.")

    class Meta:
        model = AssignmentQuantity
        fields = ["fee_key", "starts_on", "quantity"]


class AssignmentSerializer(Settable, serializers.ModelSerializer[Assignment]):
    """A customer on a plan, from a day on and perhaps up to another."""

    customer = ByKey(queryset=Customer.objects.all())
    plan = ByKey(queryset=Plan.objects.all())
    starts_on = DayField(required=False, help_text="Left out: today, where the customer is.")
    quantities = QuantitySerializer(many=True, read_only=True)

    class Meta:
        model = Assignment
        fields = [
            "id",
            "customer",
            "plan",
            "starts_on",
            "ends_on",
            "anchor_on",
            "time_zone",
            "source",
            "rule",
            "quantities",
            "created_at",
        ]
        read_only_fields = ["time_zone", "source", "rule", "created_at"]

    def create(self, validated_data: dict[str, Any]) -> Assignment:
        validated_data.setdefault("starts_on", local_date(timezone.now(), validated_data["customer"].zone))
        return assign(**validated_data)


class AssignmentQuery(Strict):
    """What the list can be narrowed to."""

    customer = ByKey(queryset=Customer.objects.all(), required=False)
    plan = ByKey(queryset=Plan.objects.all(), required=False)
    on = DayField(required=False, help_text="A day: those that run on it.")


class EndSerializer(Strict):
    """When an assignment ends."""

    ends_on = DayField(
        allow_null=True, help_text="The first day that is no longer on the plan; null takes the end back."
    )


@extend_schema_field({"type": "string", "description": "`now`, `period_end`, or a day.", "example": "period_end"})
class WhenField(serializers.CharField):
    def to_internal_value(self, data: Any) -> Any:
        text: str = super().to_internal_value(data)
        if text in (NOW, PERIOD_END):
            return text
        try:
            return read_day(text)
        except ValueError:
            raise serializers.ValidationError("This is 'now', 'period_end' or a day, such as 2026-12-01.") from None


class ChangePlanSerializer(Strict):
    """Which plan, and when."""

    plan = ByKey(queryset=Plan.objects.all())
    when = WhenField(default=PERIOD_END)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_assignments",
        description="Lists assignments, newest first. Ended ones too.",
        parameters=[AssignmentQuery],
        examples=[answered(ASSIGNMENT)],
    ),
    retrieve=extend_schema(
        operation_id="get_assignment", description="Reads an assignment.", examples=[answered(ASSIGNMENT)]
    ),
    create=extend_schema(
        operation_id="create_assignment",
        description="Puts a customer on a plan from a day on, also in the past or in the future. Several plans can run "
        "side by side, but one product item is priced by at most one of them at a time. A private plan is for its "
        "customer alone.",
        examples=[asked(NEW_ASSIGNMENT), answered(ASSIGNMENT | {"quantities": []}, "201")],
    ),
)
class AssignmentViewSet(
    mixins.CreateModelMixin, mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Assignment]
):
    """Customers on plans, newest first."""

    permissions = {
        "change_plan": "pricing.add_assignment pricing.change_assignment",
        "end": "pricing.change_assignment",
        "quantities": "pricing.change_assignment",
    }
    queryset = ASSIGNMENTS
    serializer_class = AssignmentSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Assignment]:
        assignments = super().get_queryset()
        if self.action != "list":
            return assignments
        query = query_of(self.request, AssignmentQuery)
        if day := query.pop("on", None):
            assignments = assignments.filter(Q(ends_on=None) | Q(ends_on__gt=day), starts_on__lte=day)
        return assignments.filter(**query)

    def perform_create(self, serializer: Any) -> None:
        serializer.save(source=SOURCE, actor=actor_of(self.request))

    @extend_schema(
        operation_id="end_assignment",
        request=EndSerializer,
        examples=[asked({"ends_on": "2026-12-01"}), answered(ASSIGNMENT | {"ends_on": "2026-12-01"})],
    )
    @action(detail=True, methods=["post"])
    def end(self, request: Request, **_: Any) -> Response:
        """Ends an assignment, moves its end, or takes it back.

        `ends_on` is the first day that is no longer on the plan: the last period is cut there. With the day that it
        starts on, the assignment is for no day at all.
        """
        form = EndSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        ended = end(self.get_object(), **form.validated_data, source=SOURCE, actor=actor_of(request))
        return self._answer(ended)

    @extend_schema(
        operation_id="change_plan",
        request=ChangePlanSerializer,
        responses={201: OpenApiResponse(AssignmentSerializer, "The new assignment; the one before it ends that day.")},
        examples=[asked({"plan": "Pro", "when": "period_end"}), answered(CHANGED, "201")],
    )
    @action(detail=True, methods=["post"], url_path="change-plan")
    def change_plan(self, request: Request, **_: Any) -> Response:
        """Changes the plan of a customer: this assignment ends, and another one begins the same day.

        `when` is `now` (the customer's today), `period_end` (when the running period ends) or a day.
        """
        form = ChangePlanSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        made = change_plan(self.get_object(), **form.validated_data, source=SOURCE, actor=actor_of(request))
        return self._answer(made, status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="set_quantity",
        request=QuantitySerializer,
        examples=[asked(QUANTITY), answered(ASSIGNMENT)],
    )
    @action(detail=True, methods=["post"])
    def quantities(self, request: Request, **_: Any) -> Response:
        """Sets how many of a fee, for example seats, the customer has from a day on.

        It holds until the next day that has one. A day that has one already gets this one in its place. Answers with
        the assignment and all its quantities.
        """
        form = QuantitySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        assignment = self.get_object()
        set_quantity(assignment, **form.validated_data, source=SOURCE, actor=actor_of(request))
        return self._answer(assignment)

    def _answer(self, assignment: Assignment, code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(ASSIGNMENTS.get(pk=assignment.pk)).data, code)


class LogSerializer(serializers.ModelSerializer[AssignmentLog]):
    customer = KeyOf()
    plan = KeyOf(source="assignment.plan", allow_null=True, help_text="Null: no rule and no default plan.")

    class Meta:
        model = AssignmentLog
        fields = [
            *("id", "customer", "assignment", "plan", "at", "kind", "source"),
            *("rule", "rule_words", "actor", "detail"),
        ]


class LogQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_assignment_log",
        description="Lists what was done to assignments, newest first: by which rule or by whom, and in words.",
        parameters=[LogQuery],
        examples=[answered(LOG_ENTRY)],
    )
)
class AssignmentLogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[AssignmentLog]):
    """What was done to assignments, newest first."""

    queryset = AssignmentLog.objects.select_related("customer", "assignment__plan")
    serializer_class = LogSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[AssignmentLog]:
        return super().get_queryset().filter(**query_of(self.request, LogQuery))
