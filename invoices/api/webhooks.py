"""`/v1/webhook-endpoints` and `/v1/webhook-deliveries`: where events are sent, and what came of it."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.api.webhook_examples import (
    DELIVERY,
    DELIVERY_WITH_TRIES,
    ENDPOINT,
    NEW_ENDPOINT,
    ROTATED,
    WITH_SECRET,
)
from invoices.models import OutboxEvent, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from invoices.webhooks.delivering import replay
from invoices.webhooks.endpoints import (
    LONGEST_OVERLAP_HOURS,
    LONGEST_URL,
    OVERLAP_HOURS,
    create_endpoint,
    rotate_secret,
    update_endpoint,
)
from meters.api.examples import answered, asked
from meters.api.serializers import Strict
from pricing.api.fields import NewestFirst, Settable, of_the_whole, query_of

MAX_ID = 2**63 - 1


class EndpointSerializer(Settable, serializers.ModelSerializer[WebhookEndpoint]):
    """Where events are sent."""

    url = serializers.CharField(max_length=LONGEST_URL, help_text="Begins with https://.")
    types = serializers.ListField(
        child=serializers.ChoiceField(OutboxEvent.Type.choices),
        required=False,
        help_text="Which events; none: all of them.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["id", "url", "description", "types", "enabled", "allow_private", "old_secret_until", "created_at"]
        read_only_fields = ["id", "allow_private", "old_secret_until", "created_at"]
        extra_kwargs = {
            "enabled": {"help_text": "One that answers 410 is switched off."},
            "allow_private": {"help_text": "Whether it may be inside a private network, which staff decide."},
            "old_secret_until": {"help_text": "Until then the secret before signs too."},
        }

    def create(self, validated_data: dict[str, Any]) -> WebhookEndpoint:
        return create_endpoint(**validated_data)

    def update(self, instance: WebhookEndpoint, validated_data: dict[str, Any]) -> WebhookEndpoint:
        return update_endpoint(instance, changes=validated_data)


class EndpointWithSecretSerializer(EndpointSerializer):
    """An endpoint with its secret, which is shown this once."""

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = [*EndpointSerializer.Meta.read_only_fields, "secret"]
        extra_kwargs = {
            **EndpointSerializer.Meta.extra_kwargs,
            "secret": {"help_text": "What deliveries are signed with. Keep it: it is shown this once."},
        }


class RotateSecretSerializer(Strict):
    overlap_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        help_text=f"How long the secret before signs too; left out: {OVERLAP_HOURS}. 0: it ends at once.",
    )


@extend_schema_view(
    list=extend_schema(
        operation_id="list_webhook_endpoints",
        description="Lists endpoints of webhooks, in the order in which they were made.",
        examples=[answered(ENDPOINT)],
    ),
    retrieve=extend_schema(
        operation_id="get_webhook_endpoint", description="Reads an endpoint.", examples=[answered(ENDPOINT)]
    ),
    create=extend_schema(
        operation_id="create_webhook_endpoint",
        description="Creates an endpoint, which gets what happens from then on. The answer holds the secret that "
        "deliveries are signed with; it is not shown again.",
        responses={201: EndpointWithSecretSerializer},
        examples=[asked(NEW_ENDPOINT), answered(WITH_SECRET, "201")],
    ),
    partial_update=extend_schema(
        operation_id="update_webhook_endpoint",
        description="Changes an endpoint, or switches it off and on. Fields that are not sent stay as they are.",
        examples=[asked({"enabled": False}), answered({**ENDPOINT, "enabled": False})],
    ),
    destroy=extend_schema(
        operation_id="delete_webhook_endpoint",
        description="Removes an endpoint with its deliveries and their log. Switched off it would keep them.",
    ),
)
class WebhookEndpointViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[WebhookEndpoint],
):
    """Where events are sent, signed after the Standard Webhooks specification."""

    permissions = {"rotate_secret": "invoices.change_webhookendpoint"}
    queryset = WebhookEndpoint.objects.all()
    serializer_class = EndpointSerializer
    lookup_value_regex = "[0-9]{1,18}"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]

    def get_serializer_class(self) -> Any:
        return EndpointWithSecretSerializer if self.action == "create" else EndpointSerializer

    @extend_schema(
        operation_id="rotate_webhook_secret",
        request=RotateSecretSerializer,
        responses=EndpointWithSecretSerializer,
        examples=[asked({"overlap_hours": 24}), answered(ROTATED)],
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, **_: Any) -> Response:
        """Gives an endpoint a new secret, in the answer, shown this once.

        Until the overlap is over deliveries are signed with both, so that a receiver can change over in its own time.
        """
        form = RotateSecretSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        endpoint = rotate_secret(self.get_object(), **form.validated_data)
        return Response(EndpointWithSecretSerializer(endpoint).data)


class AttemptSerializer(serializers.ModelSerializer[WebhookAttempt]):
    """A try: what was sent, and what came back."""

    class Meta:
        model = WebhookAttempt
        fields = ["at", "status_code", "error", "answer", "milliseconds", "body"]


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    """An event to an endpoint."""

    message_id = serializers.CharField(source="event.message_id", help_text="The same at every try.")
    type = serializers.ChoiceField(OutboxEvent.Type.choices, source="event.type")
    about = serializers.CharField(help_text="What it is about; of one object they are delivered in their order.")
    endpoint = serializers.IntegerField(source="endpoint_id")

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "endpoint",
            "message_id",
            "type",
            "about",
            "status",
            "attempts",
            "next_try_at",
            "created_at",
            "delivered_at",
        ]


class DeliveryWithTriesSerializer(DeliverySerializer):
    """A delivery with its log."""

    tries = AttemptSerializer(many=True)

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "tries"]


class DeliveryQuery(Strict):
    endpoint = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    status = serializers.ChoiceField(WebhookDelivery.Status.choices, required=False)
    type = serializers.ChoiceField(OutboxEvent.Type.choices, required=False, source="event__type")
    about = serializers.CharField(max_length=100, required=False)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_webhook_deliveries",
        description="Lists deliveries, newest first. They are kept for 30 days.",
        parameters=[
            OpenApiParameter("endpoint", int),
            OpenApiParameter("status", str, enum=WebhookDelivery.Status.values),
            OpenApiParameter("type", str, enum=OutboxEvent.Type.values),
            OpenApiParameter("about", str, description="Such as invoice:42."),
        ],
        examples=[answered(DELIVERY)],
    ),
    retrieve=extend_schema(
        operation_id="get_webhook_delivery",
        description="Reads a delivery with every try: what was sent, and what came back.",
        responses=DeliveryWithTriesSerializer,
        examples=[answered(DELIVERY_WITH_TRIES)],
    ),
)
class WebhookDeliveryViewSet(
    mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[WebhookDelivery]
):
    """What was sent where, and what came of it."""

    permissions = {"replay": "invoices.change_webhookdelivery"}
    queryset = WebhookDelivery.objects.all()
    serializer_class = DeliverySerializer
    pagination_class = NewestFirst
    lookup_value_regex = "[0-9]{1,18}"

    def get_serializer_class(self) -> Any:
        return DeliveryWithTriesSerializer if self.action == "retrieve" else DeliverySerializer

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        deliveries = super().get_queryset().select_related("event")
        if self.action == "list":
            return deliveries.filter(**query_of(self.request, DeliveryQuery))
        if self.action == "retrieve":
            return deliveries.prefetch_related(Prefetch("tries", queryset=WebhookAttempt.objects.order_by("id")))
        return deliveries

    @extend_schema(
        operation_id="replay_webhook_delivery",
        request=None,
        responses=DeliverySerializer,
        examples=[answered(DELIVERY)],
    )
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **_: Any) -> Response:
        """Has a delivery sent once more, within seconds, with the same body and the same `message_id`."""
        with of_the_whole():
            again = replay(self.get_object().pk)
        return Response(DeliverySerializer(again).data)
