"""The JSON of customers and meters. Rules of the domain are in services and models; their errors come by field."""

from typing import Any

from rest_framework import serializers

from meters.customers import create_customer, update_customer
from meters.metering import save_meter
from meters.models import Customer, Meter


class ByKey(serializers.SlugRelatedField[Any]):
    """A customer or a meter, named by its key."""

    default_error_messages = {"does_not_exist": "There is none with the key {value!r}."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(slug_field="key", **kwargs)


class TraitsField(serializers.DictField):
    """Names with text values; a name is held to what a value is."""

    child = serializers.CharField(allow_blank=True, max_length=500)
    name = serializers.CharField(max_length=100)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        traits: dict[str, str] = super().to_internal_value(data)
        return {self.name.run_validation(name): text for name, text in traits.items()}


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    traits = TraitsField(required=False)

    class Meta:
        model = Customer
        fields = ["key", "name", "email", "traits", "time_zone", "source", "created_at"]
        read_only_fields = ["source", "created_at"]

    def validate_key(self, key: str) -> str:
        if self.instance is not None and key != self.instance.key:
            raise serializers.ValidationError("The key of a customer never changes.")
        return key

    def create(self, validated_data: dict[str, Any]) -> Customer:
        return create_customer(source=Customer.Source.API, **validated_data)

    def update(self, instance: Customer, validated_data: dict[str, Any]) -> Customer:
        validated_data.pop("key", None)
        return update_customer(instance, changes=validated_data)


class MeterSerializer(serializers.ModelSerializer[Meter]):
    class Meta:
        model = Meter
        fields = [
            "key",
            "name",
            "aggregation",
            "unit",
            "dimensions",
            "unique_dimension",
            "used_for_billing",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def create(self, validated_data: dict[str, Any]) -> Meter:
        return save_meter(Meter(), changes=validated_data)

    def update(self, instance: Meter, validated_data: dict[str, Any]) -> Meter:
        return save_meter(instance, changes=validated_data)
