"""What our OpenAPI document says about itself (drf-spectacular)."""

from typing import Any

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Tollmeter API",
    "DESCRIPTION": (
        "Send usage events; set prices; read usage, customers, meters and invoices.\n\n"
        "Every call needs an API key, as `Authorization: Bearer KEY` or `X-API-KEY: KEY`. Numbers are decimal text, "
        "times are RFC 3339 with a zone, spans are half-open. Lists come a page at a time; `next` is the address of "
        "the next one. Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    "VERSION": "1",
    "ENUM_NAME_OVERRIDES": {
        "CustomerSource": "meters.models.Customer.Source",
        "AssignmentSource": "pricing.models.Assignment.Source",
        "PlanVersionStatus": "pricing.models.PlanVersion.Status",
        "BacktestStatus": "invoices.models.Backtest.Status",
        "WebhookDeliveryStatus": "invoices.models.WebhookDelivery.Status",
        "EventType": "invoices.models.OutboxEvent.Type",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "TAGS": [
        {"name": "events", "description": "Usage as it happens: sent, read, voided."},
        {"name": "usage", "description": "What the events come to."},
        {"name": "customers", "description": "Whose usage it is."},
        {"name": "meters", "description": "What is counted, and how."},
        {"name": "product-items", "description": "What is sold."},
        {"name": "plans", "description": "What it costs: versions, rates, fees."},
        {"name": "assignments", "description": "Who is on which plan, and since when."},
        {"name": "assignment-rules", "description": "Which plan a new customer gets."},
        {"name": "assignment-log", "description": "What was done to assignments, and by whom."},
        {"name": "audit-log", "description": "Who changed what, when and from where."},
        {"name": "promotions", "description": "What can be taken off."},
        {"name": "applied-promotions", "description": "Who gets it."},
        {"name": "tax-rates", "description": "What is added."},
        {"name": "billing-profiles", "description": "Whom invoices are written to, and with which taxes."},
        {"name": "invoices", "description": "What is owed, and why."},
        {"name": "credits", "description": "What customers have paid ahead, or were given."},
        {"name": "credit-entries", "description": "The ledger of credits."},
        {"name": "credit-balances", "description": "What is left of them."},
        {"name": "credit-rules", "description": "When they are low."},
        {"name": "statements", "description": "What a customer owes, and how it came about."},
        {"name": "alerts", "description": "Thresholds that are told of."},
        {"name": "alert-firings", "description": "When they were."},
        {"name": "portal-sessions", "description": "Links into the portal, and who came by them."},
        {"name": "webhook-endpoints", "description": "Where events are sent."},
        {"name": "webhook-deliveries", "description": "What came of it."},
        {"name": "billing-policy", "description": "When invoices become final and due, and how they are numbered."},
    ],
}
