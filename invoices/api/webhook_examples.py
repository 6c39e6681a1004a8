"""What endpoints and deliveries of webhooks look like, for the API document."""

from typing import Any

ENDPOINT: dict[str, Any] = {
    "id": 3,
    "url": "https://erp.example/hooks/tollmeter",
    "description": "Accounting",
    "types": ["invoice.finalized", "invoice.paid"],
    "enabled": True,
    "allow_private": False,
    "old_secret_until": None,
    "created_at": "2026-11-22T14:00:00Z",
}
NEW_ENDPOINT = {name: ENDPOINT[name] for name in ("url", "description", "types")}
# Of no endpoint anywhere.
WITH_SECRET = {**ENDPOINT, "secret": "whsec_QU4gRVhBTVBMRSBPRiBBIFNFQ1JFVCwgTk9UIE9ORSE="}
ROTATED = {**WITH_SECRET, "old_secret_until": "2026-11-23T14:00:00Z"}

DELIVERY: dict[str, Any] = {
    "id": 81,
    "endpoint": 3,
    "message_id": "msg_0mVVKvZ1mT3nq5cO2hZPLQbX",
    "type": "invoice.finalized",
    "about": "invoice:12",
    "status": "waiting",
    "attempts": 1,
    "next_try_at": "2026-12-02T00:00:08Z",
    "created_at": "2026-12-02T00:00:02Z",
    "delivered_at": None,
}
DELIVERY_WITH_TRIES = {
    **DELIVERY,
    "tries": [
        {
            "at": "2026-12-02T00:00:03Z",
            "status_code": 500,
            "error": "Answered with 500.",
            "answer": "Internal Server Error",
            "milliseconds": 41,
            "body": '{"type":"invoice.finalized","timestamp":"2026-12-02T00:00:01Z","data":{"id":12}}',
        }
    ],
}
