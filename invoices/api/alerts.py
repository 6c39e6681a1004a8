"""`/v1/alerts` and `/v1/alert-firings`: thresholds that are told of, and when they were."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from invoices.alerting.alerts import (
    EDITABLE,
    MOST_RECIPIENTS,
    change_alert,
    create_alert,
    own_alerts,
    own_firings,
    remove_alert,
)
from invoices.api.alert_examples import ALERT, FIRING, NEW_ALERT, NEW_OF_EACH, OF_EACH
from invoices.models import Alert, AlertFiring
from meters.api.auth import customer_of, require_customer
from meters.api.examples import answered, asked
from meters.api.serializers import ByKey, NumberField, Strict
from meters.models import Customer
from pricing.api.fields import ItemByKey, NewestFirst, Settable, actor_of, query_of

MAX_ID = 2**63 - 1
INTERNAL = ("actor",)


class AlertSerializer(Settable, serializers.ModelSerializer[Alert]):
    """A threshold that is told of once in each period."""

    customer = ByKey(
        queryset=Customer.objects.all(),
        required=False,
        allow_null=True,
        help_text="Its key; null: each customer, by itself. Never changed.",
    )
    product_item = ItemByKey(
        required=False, allow_null=True, help_text="Of `quantity` and `free_tier`: the key of its meter. Never changed."
    )
    threshold = NumberField(help_text="An amount, units, or a percentage: 80 is 80%.")
    currency = serializers.CharField(
        max_length=3,
        required=False,
        allow_null=True,
        help_text="Of `amount` and `budget`; bills in others are not watched.",
    )
    budget = NumberField(required=False, allow_null=True, help_text="Of `budget`: what a period may come to.")
    recipients = serializers.ListField(
        child=serializers.CharField(max_length=254),
        max_length=MOST_RECIPIENTS,
        required=False,
        help_text="Mail addresses. Of an alert for the customer: its own or its portal members'; none: all of these.",
    )
    actor = serializers.CharField(read_only=True, help_text="Who made it; not in answers to a key of one customer.")

    class Meta:
        model = Alert
        fields = [
            "id",
            "name",
            "kind",
            "audience",
            "customer",
            "product_item",
            "threshold",
            "currency",
            "budget",
            "recipients",
            "enabled",
            "actor",
            "created_at",
        ]
        read_only_fields = ["id", "created_at"]
        extra_kwargs = {
            "kind": {"help_text": "What the threshold is of. Never changed."},
            "audience": {"help_text": "Left out: staff. `customer`: it sees the alert, and may change it."},
        }

    def to_internal_value(self, data: Any) -> Any:
        if self.instance is not None and isinstance(data, dict):
            now = self.to_representation(self.instance)
            # Sent back as it is, it is no change.
            data = {name: value for name, value in data.items() if name in EDITABLE or now.get(name) != value}
            if others := [name for name in data if name in self.fields and name not in EDITABLE]:
                raise serializers.ValidationError(dict.fromkeys(others, "This never changes: make another alert."))
        values = super().to_internal_value(data)
        if "currency" in values:
            values["currency"] = values["currency"] or ""
        return values

    def to_representation(self, instance: Alert) -> Any:
        shown = super().to_representation(instance)
        shown["currency"] = shown["currency"] or None
        request = self.context.get("request")
        if request is not None and customer_of(request) is not None:
            for name in INTERNAL:
                shown.pop(name)
        return shown

    def create(self, validated_data: dict[str, Any]) -> Alert:
        return create_alert(**validated_data, actor=actor_of(self.context["request"]))

    def update(self, instance: Alert, validated_data: dict[str, Any]) -> Alert:
        try:
            return change_alert(instance, changes=validated_data)
        except Alert.DoesNotExist:
            # Removed meanwhile.
            raise NotFound from None


class AlertQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)
    kind = serializers.ChoiceField(Alert.Kind.choices, required=False)
    audience = serializers.ChoiceField(Alert.Audience.choices, required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_alerts",
        description="Lists alerts, newest first. A key of one customer sees those that are for that customer.",
        parameters=[
            OpenApiParameter("customer", str, description="Its key: alerts of this customer alone."),
            OpenApiParameter("kind", str, enum=Alert.Kind.values),
            OpenApiParameter("audience", str, enum=Alert.Audience.values),
        ],
        examples=[answered(ALERT)],
    ),
    retrieve=extend_schema(operation_id="get_alert", description="Reads an alert.", examples=[answered(ALERT)]),
    create=extend_schema(
        operation_id="create_alert",
        description="Creates an alert. It watches the periods that are not over: of a bill that is beyond the "
        "threshold already it tells within seconds.",
        examples=[
            asked(NEW_ALERT),
            asked(NEW_OF_EACH, "Of each customer"),
            answered(ALERT, "201"),
            answered(OF_EACH, "201", "Of each customer"),
        ],
    ),
    partial_update=extend_schema(
        operation_id="update_alert",
        description="Changes an alert, or switches it off and on. A threshold or budget that is moved is another one, "
        "and told of by itself. Fields that are not sent stay as they are.",
        examples=[asked({"threshold": "75"}), answered(ALERT | {"threshold": "75"})],
    ),
    destroy=extend_schema(
        operation_id="delete_alert",
        description="Removes an alert with its firings. Switched off it would keep them.",
    ),
)
class AlertViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[Alert],
):
    """Thresholds of bills and usage, told of by mail and webhook."""

    queryset = Alert.objects.all()
    serializer_class = AlertSerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    customer_keys = {"list", "retrieve"}

    def get_queryset(self) -> QuerySet[Alert]:
        own = customer_of(self.request)
        alerts = super().get_queryset() if own is None else own_alerts(own)
        found = alerts.select_related("customer", "product_item__meter")
        return found.filter(**_query(self.request, AlertQuery)) if self.action == "list" else found

    def perform_destroy(self, instance: Alert) -> None:
        remove_alert(instance)


class FiringSerializer(serializers.ModelSerializer[AlertFiring]):
    """That a threshold was reached."""

    alert = serializers.IntegerField(source="alert_id")
    customer = serializers.CharField(source="invoice.customer.key")
    invoice = serializers.IntegerField(source="invoice_id")
    invoice_number = serializers.SerializerMethodField()
    period_start = serializers.DateTimeField(source="invoice.period_start")
    period_end = serializers.DateTimeField(source="invoice.period_end")
    threshold = NumberField(help_text="Of then.")
    budget = serializers.SerializerMethodField(help_text="Of then; null where there is none.")
    value = NumberField(help_text="What was reached, in the unit of the threshold.")

    class Meta:
        model = AlertFiring
        fields = [
            "id",
            "alert",
            "customer",
            "invoice",
            "invoice_number",
            "period_start",
            "period_end",
            "threshold",
            "budget",
            "value",
            "at",
        ]

    def get_invoice_number(self, firing: AlertFiring) -> str | None:
        return firing.invoice.number or None

    def get_budget(self, firing: AlertFiring) -> str | None:
        return NumberField().to_representation(firing.budget) if firing.budget else None


class FiringQuery(Strict):
    alert = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    customer = ByKey(queryset=Customer.objects.all(), required=False, source="invoice__customer")
    invoice = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_alert_firings",
        description="Lists when alerts were told, newest first: of an alert, a customer or an invoice.",
        parameters=[
            OpenApiParameter("alert", int),
            OpenApiParameter("customer", str, description="Its key."),
            OpenApiParameter("invoice", int),
        ],
        examples=[answered(FIRING)],
    )
)
class AlertFiringViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[AlertFiring]):
    """When alerts were told."""

    queryset = AlertFiring.objects.all()
    serializer_class = FiringSerializer
    pagination_class = NewestFirst
    customer_keys = {"list"}

    def get_queryset(self) -> QuerySet[AlertFiring]:
        own = customer_of(self.request)
        firings = super().get_queryset() if own is None else own_firings(own)
        return firings.filter(**_query(self.request, FiringQuery)).select_related("invoice__customer")


def _query(request: Request, form: type[Strict]) -> dict[str, Any]:
    """What the query string asks for. Raises a Problem where it names another customer than the key's."""
    own = customer_of(request)
    if own is not None:
        require_customer(request, request.query_params.get("customer", own.key))
    return query_of(request, form)
