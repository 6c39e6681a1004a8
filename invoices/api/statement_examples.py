"""The example of the OpenAPI document for statements."""

from typing import Any

STATEMENT: dict[str, Any] = {
    "customer": "acme",
    "currency": "USD",
    "from": "2026-12-01T00:00:00Z",
    "to": "2027-01-01T00:00:00Z",
    "as_of": "2026-12-05T10:00:00Z",
    "time_zone": "UTC",
    "opening_balance": "0.00",
    "closing_balance": "2.36",
    "entries": [
        {
            "at": "2026-12-02T00:00:00Z",
            "day": "2026-12-02",
            "kind": "invoice",
            "number": "2026-0001",
            "invoice": 12,
            "words": "Invoice",
            "detail": "Basic, 1–30 Nov 2026, due 16 Dec 2026",
            "reference": "",
            "amount": "64.26",
            "balance": "64.26",
        },
        {
            "at": "2026-12-03T08:00:00Z",
            "day": "2026-12-03",
            "kind": "credit_note",
            "number": "CN-2026-0001",
            "invoice": 12,
            "words": "Credit note",
            "detail": "for invoice 2026-0001: An outage on 12 November.",
            "reference": "",
            "amount": "-11.90",
            "balance": "52.36",
        },
        {
            "at": "2026-12-03T09:00:00Z",
            "day": "2026-12-03",
            "kind": "payment",
            "number": "2026-0001",
            "invoice": 12,
            "words": "Payment for invoice",
            "detail": "on 2 Dec 2026",
            "reference": "TX-4711",
            "amount": "-50.00",
            "balance": "2.36",
        },
    ],
    "running": {
        "as_of": "2026-12-05T10:00:00Z",
        "total": "12.00",
        "credits": "5.00",
        "left": "7.00",
        "invoices": [
            {
                "id": 13,
                "plan": "Basic",
                "status": "open",
                "period_start": "2026-12-01T00:00:00Z",
                "period_end": "2027-01-01T00:00:00Z",
                "total": "12.00",
                "credits": "5.00",
                "lines": [
                    {
                        "kind": "usage",
                        "name": "ApiCalls",
                        "part": "region: eu",
                        "quantity": "1200",
                        "unit": "calls",
                        "amount": "12.00",
                    }
                ],
            }
        ],
    },
    "credits_left": "5.00",
}
