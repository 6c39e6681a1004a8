"""Examples of the OpenAPI document for alerts."""

from typing import Any

ALERT: dict[str, Any] = {
    "id": 4,
    "name": "Half the budget",
    "kind": "budget",
    "audience": "staff",
    "customer": "acme",
    "product_item": None,
    "threshold": "50",
    "currency": "USD",
    "budget": "500",
    "recipients": ["accounts@vendor.example"],
    "enabled": True,
    "actor": "shop",
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_ALERT = {
    name: ALERT[name] for name in ("name", "kind", "customer", "threshold", "currency", "budget", "recipients")
}
NEW_OF_EACH: dict[str, Any] = {
    "name": "Free calls run out",
    "kind": "free_tier",
    "product_item": "ApiCalls",
    "threshold": "80",
}
OF_EACH = ALERT | {
    **NEW_OF_EACH,
    "id": 5,
    "customer": None,
    "currency": None,
    "budget": None,
    "recipients": [],
}
FIRING = {
    "id": 17,
    "alert": 4,
    "customer": "acme",
    "invoice": 12,
    "invoice_number": None,
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
    "threshold": "50",
    "budget": "500",
    "value": "50.1",
    "at": "2026-11-19T17:03:11Z",
}
