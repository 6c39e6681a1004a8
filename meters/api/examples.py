"""Examples and words of the OpenAPI document for customers and meters."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema

CUSTOMER = {
    "key": "acme",
    "name": "Acme Retail",
    "email": "billing@acme.example",
    "traits": {"tier": "gold"},
    "time_zone": "Europe/Berlin",
    "source": "api",
    "created_at": "2026-11-02T09:30:00Z",
}
METER = {
    "key": "ApiCalls",
    "name": "API calls",
    "aggregation": "sum",
    "unit": "calls",
    "dimensions": ["source", "target", "status"],
    "where": {"status": ["ok"]},
    "unique_dimension": "",
    "percentile": None,
    "time_unit": "",
    "value_dimension": "",
    "multiplier": "1",
    "rounding": "none",
    "rounding_places": 0,
    "used_for_billing": True,
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_METER = {name: METER[name] for name in ("key", "name", "aggregation", "unit", "dimensions", "where")}


def asked(value: Any, name: str = "Request") -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def answered(value: Any, status: str = "200", name: str = "Answer") -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=[status])


def resource_docs(
    singular: str, words: dict[str, str], example: dict[str, Any], new: dict[str, Any], change: dict[str, Any]
) -> Any:
    """What `extend_schema_view` takes for a resource that is listed, read, created and changed."""
    return {
        "list": extend_schema(
            operation_id=f"list_{singular}s", description=words["list"], examples=[answered(example)]
        ),
        "retrieve": extend_schema(
            operation_id=f"get_{singular}", description=words["retrieve"], examples=[answered(example)]
        ),
        "create": extend_schema(
            operation_id=f"create_{singular}",
            description=words["create"],
            examples=[asked(new), answered(example, "201")],
        ),
        "partial_update": extend_schema(
            operation_id=f"update_{singular}",
            description=words["update"],
            examples=[asked(change), answered(example | change)],
        ),
    }


CUSTOMER_DOCS = resource_docs(
    "customer",
    {
        "list": "Lists customers. In the order in which they came, a page at a time.",
        "retrieve": "Reads a customer, by your own key of it.",
        "create": "Creates a customer. A rule may put it on a plan at once. The first event of an unknown customer "
        "creates one too, unless the installation refuses that.",
        "update": "Changes a customer. Fields that are not sent stay as they are; the key never changes.",
    },
    CUSTOMER,
    {name: CUSTOMER[name] for name in ("key", "name", "email", "traits", "time_zone")},
    {"traits": {"tier": "platinum"}},
)
METER_DOCS = resource_docs(
    "meter",
    {
        "list": "Lists meters. In the order in which they were made, a page at a time.",
        "retrieve": "Reads a meter, by its key.",
        "create": "Creates a meter: what is counted, and how events become a quantity. One used for billing has "
        "a product item at once, which plans put a price on.",
        "update": "Changes a meter. Name, unit and (unless it is time-weighted) new dimensions at any time; what its "
        "figures mean only while it has no usage, and the refusal says so.",
    },
    METER,
    NEW_METER | {"used_for_billing": True},
    {"name": "Calls of the API"},
)
