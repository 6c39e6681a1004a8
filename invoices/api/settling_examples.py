"""Examples of the OpenAPI document: payments and credit notes."""

from typing import Any

from invoices.api.examples import INVOICE

NEW_PAYMENT = {"amount": "50.00", "reference": "TX-4711", "paid_on": "2026-12-02"}
PAYMENT: dict[str, Any] = {
    "id": 3,
    "invoice": "2026-0001",
    "kind": "payment",
    "amount": "50.00",
    "currency": "USD",
    "paid_on": "2026-12-02",
    "reference": "TX-4711",
    "created_at": "2026-12-03T08:00:00Z",
}
NEW_WRITE_OFF = {"reason": "The customer is bankrupt.", "amount": "14.26"}
WRITE_OFF = PAYMENT | {"id": 4, "kind": "write_off", "amount": "14.26", "paid_on": "2026-12-03", "reference": ""}
NEW_CREDIT_NOTE = {"reason": "An outage on 12 November.", "lines": [{"position": 1, "amount": "10.00"}]}
CREDIT_NOTE: dict[str, Any] = {
    "number": "CN-2026-0001",
    "invoice": "2026-0001",
    "customer": "acme",
    "reason": "An outage on 12 November.",
    "currency": "USD",
    "subtotal": "10.00",
    "total": "11.90",
    "issued_at": "2026-12-03T08:00:00Z",
    "lines": [
        {"position": 1, "invoice_line": 1, "name": "ApiCalls", "is_tax": False, "amount": "10.00"},
        {"position": 2, "invoice_line": 4, "name": "VAT", "is_tax": True, "amount": "1.90"},
    ],
}
WHY = {"reason": "Written to the wrong company."}
VOID = INVOICE | {
    "status": "void",
    "number": "2026-0001",
    "finalized_at": "2026-12-02T00:00:00Z",
    "due_on": "2026-12-16",
    "credited": "64.26",
    "amount_due": "0.00",
    "voided_at": "2026-12-03T08:00:00Z",
}
REISSUED = INVOICE | {"id": 13, "status": "grace", "closes_at": "2026-12-03T08:00:00Z", "replaces": "2026-0001"}
