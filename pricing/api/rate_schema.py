"""The JSON form of a rate in the OpenAPI document: one shape for each model."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

NUMBER = {
    "type": "string",
    "description": "A decimal from 0 to 10^24 with at most 15 decimals, as text.",
    "example": "0.005",
}
PARTIAL_BLOCK = {
    "type": "string",
    "enum": ["round_up", "round_down", "prorate"],
    "default": "round_up",
    "description": "What a block that is not full costs.",
}
UP_TO = {
    "type": "string",
    "nullable": True,
    "description": "The inclusive, cumulative upper bound; null in the last tier, and in no other.",
    "example": "10000",
}
OF_EVERY_MODEL = {
    "included_units": NUMBER | {"description": "Free, taken off first."},
    "minimum": NUMBER | {"description": "What the line comes to at least."},
    "maximum": NUMBER | {"description": "What the line comes to at most."},
}


def _tiers(required: list[str], **optional: Any) -> dict[str, Any]:
    properties = {"up_to": UP_TO} | dict.fromkeys(required, NUMBER) | optional
    tier = {
        "type": "object",
        "required": ["up_to", *required],
        "properties": properties,
        "additionalProperties": False,
    }
    return {"type": "array", "minItems": 1, "maxItems": 1000, "items": tier}


def _model(name: str, required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "title": name,
        "required": ["model", *required],
        "properties": {"model": {"type": "string", "enum": [name]}} | required | optional | OF_EVERY_MODEL,
        "additionalProperties": False,
    }


_FLAT_FEE = {"flat_fee": NUMBER | {"description": "Owed once the tier is entered."}}
_BLOCKS = {"partial_block": PARTIAL_BLOCK}

MODEL_SCHEMAS: dict[str, dict[str, Any]] = {
    schema["title"]: schema
    for schema in (
        _model("per_unit", {"unit_price": NUMBER}),
        _model("block", {"block_size": NUMBER, "block_price": NUMBER}, **_BLOCKS),
        _model("graduated", {"tiers": _tiers(["unit_price"], **_FLAT_FEE)}),
        _model("volume", {"tiers": _tiers(["unit_price"], **_FLAT_FEE)}),
        _model("graduated_block", {"tiers": _tiers(["block_size", "block_price"], **_FLAT_FEE)}, **_BLOCKS),
        _model("volume_block", {"tiers": _tiers(["block_size", "block_price"], **_FLAT_FEE)}, **_BLOCKS),
        _model(
            "percentage",
            {"rate_percent": NUMBER},
            fixed_fee_per_event=NUMBER,
            free_events={"type": "string", "description": "How many events are free.", "example": "10"},
            free_amount=NUMBER,
            per_event_min=NUMBER,
            per_event_max=NUMBER,
        ),
        _model("graduated_percentage", {"tiers": _tiers(["rate_percent"], **_FLAT_FEE)}),
        _model("stairstep", {"tiers": _tiers(["flat_price"])}),
    )
}


@extend_schema_field({"oneOf": list(MODEL_SCHEMAS.values())})
class ParametersField(serializers.JSONField):
    """A rate as it was sent; `pricing.rates.parse_rate` reads it."""
