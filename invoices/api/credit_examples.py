"""Examples of the OpenAPI document for prepaid credits."""

CREDIT = {
    "id": 3,
    "customer": "acme",
    "name": "Starter pack",
    "currency": "USD",
    "amount": "100.00",
    "left": "60.00",
    "price_paid": "80.00",
    "priority": 50,
    "starts_at": "2026-11-02T09:30:00Z",
    "expires_at": "2027-11-02T00:00:00Z",
    "product_items": ["ApiCalls"],
    "source": "api",
    "reference": "order-17",
    "voided_at": None,
    "actor": "shop",
    "created_at": "2026-11-02T09:30:00Z",
}
NEW_CREDIT = {
    name: CREDIT[name]
    for name in ("customer", "name", "currency", "amount", "price_paid", "expires_at", "product_items", "reference")
}
VOIDED = CREDIT | {"left": "0.00", "voided_at": "2026-12-05T10:00:00Z"}
ENTRY = {
    "id": 9,
    "customer": "acme",
    "credit": 3,
    "kind": "drawn",
    "currency": "USD",
    "amount": "-40.00",
    "left": "60.00",
    "invoice": 12,
    "invoice_number": "2026-0042",
    "at": "2026-12-02T00:00:00Z",
    "actor": "",
    "note": "",
}
BALANCE = {
    "customer": "acme",
    "balances": [
        {
            "currency": "USD",
            "amount": "60.00",
            "restricted": "60.00",
            "pending": "0.00",
            "expires_next": {"at": "2027-11-02T00:00:00Z", "amount": "60.00"},
        }
    ],
    "estimates": [
        {
            "invoice": 13,
            "currency": "USD",
            "amount": "12.00",
            "drawn": [{"credit": 3, "name": "Starter pack", "amount": "12.00"}],
        }
    ],
}
RULE = {"customer": "acme", "currency": "USD", "low_below": "20", "top_up": "100", "is_low": False, "told_at": None}
NEW_RULE = {"currency": "USD", "low_below": "20", "top_up": "100"}
