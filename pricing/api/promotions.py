"""`/v1/promotions` and `/v1/applied-promotions`: something off, and who has it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from meters.api.examples import answered, asked, resource_docs
from meters.api.serializers import ByKey, DayField, NumberField, Strict
from meters.models import Customer
from pricing.api.customer_examples import APPLIED, NEW_PROMOTION, PROMOTION
from pricing.api.fields import ByPosition, ItemByKey, Settable, actor_of, query_of
from pricing.models import AppliedPromotion, Promotion
from pricing.promotions import apply_promotion, end_promotion, save_promotion


class PromotionSerializer(Settable, serializers.ModelSerializer[Promotion]):
    """A percentage or an amount off, of the whole invoice or of some product items."""

    percent = NumberField(required=False, allow_null=True, help_text="Off; of the kind percent.")
    amount = NumberField(required=False, allow_null=True, help_text="Off in each period; of the kind amount.")
    currency = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=20,
        help_text="Of the amount and the cap, such as EUR; invoices in others get nothing off.",
    )
    cap = NumberField(required=False, allow_null=True, help_text="What a customer gets off in all, at most.")
    product_items = ItemByKey(
        many=True,
        required=False,
        help_text="Off the usage of these, named by the keys of their meters; none: off the whole invoice.",
    )

    class Meta:
        model = Promotion
        fields = [
            "key",
            "name",
            "code",
            "kind",
            "percent",
            "amount",
            "currency",
            "product_items",
            "starts_on",
            "ends_on",
            "periods",
            "cap",
            "position",
            "enabled",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def validate_key(self, key: str) -> str:
        if self.instance is not None and key != self.instance.key:
            raise serializers.ValidationError("The key of a promotion never changes.")
        return key

    def create(self, validated_data: dict[str, Any]) -> Promotion:
        if "kind" not in validated_data and validated_data.get("percent") is None and validated_data.get("amount"):
            validated_data["kind"] = Promotion.Kind.AMOUNT
        return save_promotion(changes=validated_data)

    def update(self, instance: Promotion, validated_data: dict[str, Any]) -> Promotion:
        validated_data.pop("key", None)
        return save_promotion(instance, changes=validated_data)


class PromotionQuery(Strict):
    enabled = serializers.BooleanField(required=False, help_text="Only those that can be given, or only the others.")


@extend_schema_view(
    **resource_docs(
        "promotion",
        {
            "list": "Lists promotions.",
            "retrieve": "Reads a promotion.",
            "create": "Creates a promotion: a percentage or an amount off. Customers get it by "
            "`POST /v1/applied-promotions`.",
            "update": "Changes a promotion. Invoices that are not final follow at once, of all customers that have it.",
        },
        PROMOTION,
        NEW_PROMOTION,
        {"enabled": False},
    )
    | {
        "list": extend_schema(
            operation_id="list_promotions",
            description="Lists promotions, in the order in which they are taken off.",
            parameters=[PromotionQuery],
            examples=[answered(PROMOTION)],
        )
    }
)
class PromotionViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.ListModelMixin,
    viewsets.GenericViewSet[Promotion],
):
    """Promotions, by their key."""

    queryset = Promotion.objects.prefetch_related("product_items__meter")
    serializer_class = PromotionSerializer
    pagination_class = ByPosition
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    http_method_names = ["get", "head", "options", "post", "patch"]

    def get_queryset(self) -> QuerySet[Promotion]:
        promotions = super().get_queryset()
        return promotions.filter(**query_of(self.request, PromotionQuery)) if self.action == "list" else promotions


class AppliedSerializer(Settable, serializers.ModelSerializer[AppliedPromotion]):
    """A promotion that a customer has."""

    customer = ByKey(queryset=Customer.objects.all())
    promotion = ByKey(queryset=Promotion.objects.all(), required=False, help_text="Its key; or else the code.")
    code = serializers.CharField(max_length=100, required=False, help_text="In place of the promotion, or with it.")
    starts_on = DayField(required=False, help_text="Left out: today, where the customer is.")

    class Meta:
        model = AppliedPromotion
        fields = ["id", "customer", "promotion", "starts_on", "ends_on", "code", "actor", "created_at"]
        read_only_fields = ["ends_on", "actor", "created_at"]
        validators: list[Any] = []  # whether the customer has it is the service's to say

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "promotion" not in attrs and "code" not in attrs:
            raise serializers.ValidationError({"promotion": "Name the promotion, or give its code."})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> AppliedPromotion:
        return apply_promotion(**validated_data)


class AppliedQuery(Strict):
    customer = ByKey(queryset=Customer.objects.all(), required=False)
    promotion = ByKey(queryset=Promotion.objects.all(), required=False)


class EndPromotionSerializer(Strict):
    """When a customer's promotion ends."""

    ends_on = DayField(allow_null=True, help_text="The first day that no longer has it; null takes the end back.")


@extend_schema_view(
    list=extend_schema(
        operation_id="list_applied_promotions",
        description="Lists which customers have which promotions. In the order in which they got them, a page at a "
        "time; ended ones too.",
        parameters=[AppliedQuery],
        examples=[answered(APPLIED)],
    ),
    retrieve=extend_schema(
        operation_id="get_applied_promotion",
        description="Reads a promotion that a customer has.",
        examples=[answered(APPLIED)],
    ),
    create=extend_schema(
        operation_id="apply_promotion",
        description="Gives a customer a promotion, by its key or by the code that was typed. Periods that have a day "
        "from `starts_on` on get it; a customer has a promotion once.",
        examples=[
            asked({"customer": "acme", "promotion": "welcome"}, "By key"),
            asked({"customer": "acme", "code": "welcome20"}, "By code"),
            answered(APPLIED, "201"),
        ],
    ),
)
class AppliedPromotionViewSet(
    mixins.CreateModelMixin, mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[AppliedPromotion]
):
    """The promotions that customers have."""

    permissions = {
        "create": "pricing.add_appliedpromotion pricing.view_promotion",
        "end": "pricing.change_appliedpromotion",
    }
    queryset = AppliedPromotion.objects.select_related("customer", "promotion")
    serializer_class = AppliedSerializer
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[AppliedPromotion]:
        applied = super().get_queryset()
        return applied.filter(**query_of(self.request, AppliedQuery)) if self.action == "list" else applied

    def perform_create(self, serializer: Any) -> None:
        serializer.save(actor=actor_of(self.request))

    @extend_schema(
        operation_id="end_promotion",
        request=EndPromotionSerializer,
        examples=[asked({"ends_on": "2026-12-01"}), answered(APPLIED | {"ends_on": "2026-12-01"})],
    )
    @action(detail=True, methods=["post"])
    def end(self, request: Request, **_: Any) -> Response:
        """Ends a customer's promotion, moves its end, or takes it back.

        Periods without a day before `ends_on` no longer get it. With the day that it began on it was for nothing.
        """
        form = EndPromotionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        ended = end_promotion(self.get_object(), **form.validated_data, actor=actor_of(request))
        return Response(self.get_serializer(ended).data)
