"""What billing policies look like, for the API document."""

from typing import Any

POLICY: dict[str, Any] = {
    "grace_hours": None,
    "payment_days": 14,
    "needs_approval": False,
    "invoice_numbers": "{year}-{number:04}",
    "credit_note_numbers": "CN-{year}-{number:04}",
    "late_usage": "next",
    "late_ignored_below": "0",
    "seller_name": "AwesomeIntegration GmbH",
    "seller_address": "Hauptstrasse 1\n10115 Berlin",
    "seller_tax_id": "DE123456789",
    "paper_footer": "IBAN DE02 1203 0000 0000 2020 51",
    "next_invoice_number": "2026-0001",
    "next_credit_note_number": "CN-2026-0001",
}
PLAN_POLICY: dict[str, Any] = {"grace_hours": 72, "payment_days": 30, "needs_approval": None}
