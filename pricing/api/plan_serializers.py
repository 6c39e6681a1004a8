"""The JSON of plans: versions, rates and fees. What may be is the services' to say; their errors come by field."""

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from meters.api.serializers import ByKey, ConditionsField, NumberField, Strict
from meters.models import Customer, slug_key
from pricing.api.fields import WHOLE, ItemByKey, KeyOf, Settable, activator_of, below, rate_faults
from pricing.api.rate_schema import ParametersField
from pricing.explain import describe_rate
from pricing.inputs import key_taken
from pricing.models import Fee, Plan, PlanVersion, ProductItem, Rate
from pricing.plans import draft_version, set_default, set_fee, set_rate, set_terms
from pricing.private_plans import set_follows_base
from pricing.product_items import rename_product_item


class ProductItemSerializer(Settable, serializers.ModelSerializer[ProductItem]):
    """The thing sold: one for each meter that is used for billing."""

    meter = KeyOf()
    unit = serializers.CharField(source="meter.unit", read_only=True)

    class Meta:
        model = ProductItem
        fields = ["meter", "name", "unit", "created_at", "retired_at"]
        read_only_fields = ["created_at", "retired_at"]

    def update(self, instance: ProductItem, validated_data: dict[str, Any]) -> ProductItem:
        return rename_product_item(instance, name=validated_data.get("name", instance.name))


class PlanSerializer(Settable, serializers.ModelSerializer[Plan]):
    """What customers are put on. Its prices are in its versions."""

    base = KeyOf(allow_null=True, help_text="Of a private plan: the plan that it was made of.")
    customer = KeyOf(allow_null=True, help_text="Of a private plan: whose it is.")
    follows_base = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="Of a private plan: whether a new version of the base plan makes a new version of this one, with the "
        "customer's own prices kept. Null for any other plan.",
    )
    active_version = serializers.IntegerField(read_only=True, allow_null=True, help_text="Its number.")
    draft_version = serializers.IntegerField(read_only=True, allow_null=True, help_text="Its number.")

    class Meta:
        model = Plan
        fields = [
            "key",
            "name",
            "description",
            "status",
            "is_default",
            "offer",
            "base",
            "customer",
            "follows_base",
            "active_version",
            "draft_version",
            "created_at",
        ]
        read_only_fields = ["status", "created_at"]
        # There is one default plan, but a new one takes the place of the old one.
        extra_kwargs: dict[str, Any] = {
            "is_default": {"validators": []},
            "key": {"validators": [slug_key, UniqueValidator(Plan.objects.all(), message=key_taken(Plan))]},
        }

    def to_representation(self, instance: Plan) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        return shown if instance.is_private else shown | {"follows_base": None}

    def validate_key(self, key: str) -> str:
        if self.instance is not None and key != self.instance.key:
            raise serializers.ValidationError("The key of a plan never changes.")
        return key

    def validate_follows_base(self, follows: bool | None) -> bool | None:
        private = self.instance is not None and self.instance.is_private
        if not private and follows is not None:
            raise serializers.ValidationError("Only a private plan follows another one.")
        if private and follows is None:
            raise serializers.ValidationError("This is true or false.")
        return follows

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Plan:
        is_default = validated_data.pop("is_default", False)
        validated_data.pop("follows_base", None)
        plan = Plan.objects.create(**validated_data)
        draft_version(plan)
        if is_default:
            set_default(plan, is_default=True)
        return plan

    @transaction.atomic
    def update(self, instance: Plan, validated_data: dict[str, Any]) -> Plan:
        validated_data.pop("key", None)
        is_default = validated_data.pop("is_default", instance.is_default)
        follows = validated_data.pop("follows_base", None)
        if is_default != instance.is_default:
            set_default(instance, is_default=is_default)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        if follows is not None and follows != instance.follows_base:
            set_follows_base(instance, follows=follows, actor=activator_of(self.context["request"]))
        return instance


class PrivatePlanSerializer(Strict):
    """A plan for one customer, made of another plan."""

    customer = ByKey(queryset=Customer.objects.all(), help_text="Whose it is to be.")
    key = serializers.CharField(
        max_length=100, required=False, help_text="Left out: made of the keys of the plan and of the customer."
    )
    follows_base = serializers.BooleanField(
        default=True, help_text="Whether a new version of this plan makes one of the private plan."
    )


class RateSerializer(Strict, serializers.ModelSerializer[Rate]):
    """The price of a product item in a plan version, of all its usage or of some."""

    product_item = ItemByKey(help_text="The key of its meter.")
    where = ConditionsField(
        required=False, help_text="Prices only the usage whose dimensions match. Empty: all the rest."
    )
    parameters = ParametersField()
    in_words = serializers.SerializerMethodField()

    class Meta:
        model = Rate
        fields = ["id", "product_item", "where", "parameters", "prorated", "is_override", "in_words"]
        read_only_fields = ["is_override"]

    def get_in_words(self, rate: Rate) -> list[str]:
        unit = rate.product_item.meter.unit
        return describe_rate(rate.parsed, unit=unit, currency=rate.plan_version.currency)

    def validate_where(self, where: dict[str, list[str]]) -> dict[str, list[str]]:
        return {name: sorted(set(texts)) for name, texts in where.items()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None:
            for name in ("product_item", "where"):
                if name in attrs and attrs[name] != getattr(self.instance, name):
                    raise serializers.ValidationError({name: "A rate keeps it; make another one."})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Rate:
        with rate_faults():
            return set_rate(
                validated_data["plan_version"],
                product_item=validated_data["product_item"],
                parameters=validated_data["parameters"],
                where=validated_data.get("where", {}),
                prorated=validated_data.get("prorated", False),
            )

    def update(self, instance: Rate, validated_data: dict[str, Any]) -> Rate:
        with rate_faults():
            return set_rate(
                instance.plan_version,
                product_item=instance.product_item,
                parameters=validated_data.get("parameters", instance.parameters),
                where=instance.where,
                prorated=validated_data.get("prorated", instance.prorated),
            )


# What a new fee has where nothing is said.
FEE_DEFAULTS: dict[str, Any] = {"kind": Fee.Kind.RECURRING, "amount": None, "percent": None}
FEE_FIELDS = ("name", "kind", "amount", "percent", "quantity", "unit", "prorated")


class FeeSerializer(Strict, serializers.ModelSerializer[Fee]):
    """A fixed amount in a plan version, or a percentage of what the rest comes to."""

    amount = NumberField(required=False, allow_null=True, help_text="Of one, for a whole period.")
    percent = NumberField(required=False, allow_null=True, help_text="Of usage and other fees; of the kind percent.")
    quantity = NumberField(
        required=False, help_text="How many, for example seats, where an assignment does not say otherwise."
    )

    class Meta:
        model = Fee
        fields = ["key", *FEE_FIELDS, "is_override"]
        read_only_fields = ["is_override"]

    def validate_key(self, key: str) -> str:
        if self.instance is not None and key != self.instance.key:
            raise serializers.ValidationError("The key of a fee never changes.")
        return key

    def create(self, validated_data: dict[str, Any]) -> Fee:
        version = validated_data.pop("plan_version")
        with below(WHOLE):
            return set_fee(version, **FEE_DEFAULTS | validated_data)

    def update(self, instance: Fee, validated_data: dict[str, Any]) -> Fee:
        validated_data.pop("key", None)
        now = {name: getattr(instance, name) for name in FEE_FIELDS}
        if validated_data.get("kind", instance.kind) != instance.kind:
            now |= {"amount": None, "percent": None}  # a figure of the kind that it was would be refused
        with below(WHOLE):
            return set_fee(instance.plan_version, key=instance.key, **now | validated_data)


class VersionSerializer(Settable, serializers.ModelSerializer[PlanVersion]):
    """Terms, rates and fees of a plan from one activation to the next."""

    plan = KeyOf()
    minimum = NumberField(required=False, help_text="What a whole period comes to at least, before tax.")
    commitment = NumberField(
        required=False,
        allow_null=True,
        help_text="Like a minimum; what goes beyond it is charged times the overage factor.",
    )
    overage_factor = NumberField(required=False, help_text="For example 1.25.")
    overridden_terms = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="Of a private plan: the terms that are the customer's own.",
    )
    rates = RateSerializer(many=True, read_only=True)
    fees = FeeSerializer(many=True, read_only=True)

    class Meta:
        model = PlanVersion
        fields = [
            "plan",
            "number",
            "status",
            "currency",
            *PlanVersion.TERMS,
            "moves_existing",
            "overridden_terms",
            "created_at",
            "activated_at",
            "activated_by",
            "rates",
            "fees",
        ]
        read_only_fields = ["number", "status", "moves_existing", "created_at", "activated_at", "activated_by"]

    def update(self, instance: PlanVersion, validated_data: dict[str, Any]) -> PlanVersion:
        with below(WHOLE):
            set_terms(instance, **validated_data)
        return instance
