"""Examples of the OpenAPI document for assignments, rules, promotions and taxes."""

ASSIGNMENT = {
    "id": 7,
    "customer": "acme",
    "plan": "AwesomeIntegrationApi",
    "starts_on": "2026-11-02",
    "ends_on": None,
    "anchor_on": None,
    "time_zone": "Europe/Berlin",
    "source": "api",
    "rule": None,
    "quantities": [{"fee_key": "seats", "starts_on": "2026-11-15", "quantity": "5"}],
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_ASSIGNMENT = {name: ASSIGNMENT[name] for name in ("customer", "plan", "starts_on")}
CHANGED = ASSIGNMENT | {"id": 8, "plan": "Pro", "starts_on": "2026-12-01", "quantities": []}
QUANTITY = {"fee_key": "seats", "starts_on": "2026-11-15", "quantity": "5"}
LOG_ENTRY = {
    "id": 3,
    "customer": "acme",
    "assignment": 7,
    "plan": "AwesomeIntegrationApi",
    "at": "2026-11-02T09:30:00Z",
    "kind": "assigned",
    "source": "rule",
    "rule": 1,
    "rule_words": "Rule 10: Awesome Integration API",
    "actor": "",
    "detail": "On Awesome Integration API from 2 November 2026",
}
RULE = {
    "id": 1,
    "position": 10,
    "plan": "AwesomeIntegrationApi",
    "customer_source": "",
    "conditions": {"tier": "gold"},
    "enabled": True,
}
NEW_RULE = {"plan": "AwesomeIntegrationApi", "conditions": {"tier": "gold"}}
TRIED = {"customer": "acme", "rule": 1, "plan": "AwesomeIntegrationApi", "current": ["Free"]}
PROMOTION = {
    "key": "welcome",
    "name": "Welcome",
    "code": "WELCOME20",
    "kind": "percent",
    "percent": "20",
    "amount": None,
    "currency": "USD",
    "product_items": ["ApiCalls"],
    "starts_on": "2026-11-01",
    "ends_on": None,
    "periods": 3,
    "cap": "500",
    "position": 10,
    "enabled": True,
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_PROMOTION = {
    name: PROMOTION[name]
    for name in ("key", "name", "code", "kind", "percent", "currency", "product_items", "periods", "cap")
}
APPLIED = {
    "id": 4,
    "customer": "acme",
    "promotion": "welcome",
    "starts_on": "2026-11-02",
    "ends_on": None,
    "code": "WELCOME20",
    "actor": "shop",
    "created_at": "2026-11-02T09:30:00Z",
}
TAX_RATE = {
    "key": "vat-de",
    "name": "VAT",
    "percent": "19",
    "is_default": True,
    "retired_at": None,
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_TAX_RATE = {name: TAX_RATE[name] for name in ("key", "name", "percent", "is_default")}
PROFILE = {
    "customer": "acme",
    "tax_rates": ["vat-de"],
    "tax_exempt": False,
    "tax_note": "",
    "tax_id": "DE136695976",
    "legal_name": "Acme Retail GmbH",
    "address": "Hauptstr. 1\n10115 Berlin",
}
