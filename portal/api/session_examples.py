"""Examples of the OpenAPI document for portal sessions."""

SESSION = {
    "id": 12,
    "customer": "acme",
    "role": "read_only",
    "member": "jane@acme.example",
    "page": "invoices",
    "invoice": "2026-0042",
    "return_url": "https://app.example/account",
    "state": "active",
    "created_by": "backend",
    "created_at": "2026-11-22T12:00:00Z",
    "link_expires_at": "2026-11-22T12:05:00Z",
    "expires_at": "2026-11-22T13:00:00Z",
    "used_at": "2026-11-22T12:00:04Z",
    "used_from": "203.0.113.7",
    "last_seen_at": "2026-11-22T12:17:31Z",
    "revoked_at": None,
    "revoked_by": None,
}
NEW_SESSION = {
    "return_url": "https://app.example/account",
    "page": "invoices",
    "invoice": "2026-0042",
    "expires_in": 3600,
    "member": "jane@acme.example",
}
JUST_MADE = {"state": "waiting", "used_at": None, "used_from": None, "last_seen_at": None}
WITH_URL = SESSION | JUST_MADE | {"url": "https://billing.example/enter/dGhpcyBpcyBub3QgYSB0b2tlbi4gSXQgaXMgYSB0ZXh0/"}
REVOKED = SESSION | {"state": "revoked", "revoked_at": "2026-11-22T12:20:00Z", "revoked_by": "backend"}
