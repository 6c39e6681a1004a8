"""The JSON of customers and meters. Rules of the domain are in services and models; their errors come by field."""

from datetime import date
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from meters.aggregation import plain
from meters.customers import create_customer, update_customer
from meters.decoding import MAX_DIMENSION_TEXT
from meters.metering import save_meter
from meters.models import Customer, Meter
from meters.periods import read_day


# No docstring, which those that inherit from it would describe themselves with in the OpenAPI document.
class Strict(serializers.Serializer[Any]):
    # Refuses members that it does not know: not understood, they would change other than what was meant.
    unknown = "There is no such member."

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(dict.fromkeys(unknown, self.unknown))
        return super().to_internal_value(data)


class Named(serializers.SlugRelatedField[Any]):
    """A row, named by a text; what cannot be stored is nothing's name."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) and not _is_storable(data):
            self.fail("does_not_exist", slug_name=self.slug_field, value=data)
        return super().to_internal_value(data)


def _is_storable(text: str) -> bool:
    """Neither with a NUL nor with half of a character, which JSON can write."""
    return not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text)


class ByKey(Named):
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
        clean = {self.name.run_validation(name): text for name, text in traits.items()}
        if len(clean) < len(traits):
            raise serializers.ValidationError("A trait is there twice, but for blanks around it.")
        return clean


class NumberField(serializers.DecimalField):
    """A number as text, to the last digit, and in answers without trailing zeros. JSON's own numbers have been
    through binary floating point when they come here, so only whole ones are taken."""

    default_error_messages = {"not_text": 'Write the number as text, for example "0.001".'}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=60, decimal_places=kwargs.pop("decimal_places", 20), **kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str | int) or isinstance(data, bool):
            self.fail("not_text")
        number: Decimal = super().to_internal_value(data)
        return number

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


class DayField(serializers.DateField):
    """A day, written 2026-12-31 and in no other way."""

    def to_internal_value(self, data: Any) -> date:
        try:
            return read_day(data)
        except (TypeError, ValueError):
            self.fail("invalid", format="YYYY-MM-DD")


class ConditionsField(serializers.DictField):
    """Dimensions with the texts that count: {"region": ["eu", "us"]}. The empty text is an event without one."""

    child = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=MAX_DIMENSION_TEXT, trim_whitespace=False),
        allow_empty=False,
    )


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


def _help(name: str) -> str:
    return str(getattr(Meter._meta.get_field(name), "help_text", ""))


class MeterSerializer(serializers.ModelSerializer[Meter]):
    percentile = NumberField(required=False, allow_null=True, help_text=_help("percentile"))
    multiplier = NumberField(required=False, decimal_places=30, help_text=_help("multiplier"))
    where = ConditionsField(required=False, help_text=_help("where"))

    class Meta:
        model = Meter
        fields = [
            "key",
            "name",
            "aggregation",
            "unit",
            "dimensions",
            "where",
            "unique_dimension",
            "percentile",
            "time_unit",
            "value_dimension",
            "multiplier",
            "rounding",
            "rounding_places",
            "used_for_billing",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def create(self, validated_data: dict[str, Any]) -> Meter:
        return save_meter(Meter(), changes=validated_data)

    def update(self, instance: Meter, validated_data: dict[str, Any]) -> Meter:
        return save_meter(instance, changes=validated_data)
