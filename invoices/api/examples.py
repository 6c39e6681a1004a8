"""What an invoice looks like, for the API document. A test makes this very one."""

from typing import Any


def _line(position: int, kind: str, name: str, amount: str, **more: Any) -> dict[str, Any]:
    about = ("fee", "promotion", "tax_rate", "corrects")
    nothing: dict[str, Any] = {"meter": None, "where": {}, **dict.fromkeys(about)}
    return {
        "position": position,
        "kind": kind,
        **nothing,
        "name": name,
        "unit": "",
        "quantity": None,
        "amount": amount,
        "rate": None,
        **more,
    }


INVOICE: dict[str, Any] = {
    "id": 12,
    "number": "",
    "status": "open",
    "customer": "acme",
    "billed_to": {"name": "Acme Retail", "address": "1 Market Street", "tax_id": "", "tax_note": ""},
    "plan": "AwesomeIntegrationApi",
    "plan_version": 1,
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
    "time_zone": "UTC",
    "currency": "USD",
    "subtotal": "54.00",
    "total": "64.26",
    "usage_version": 1,
    "usage_at": "2026-11-22T14:00:01Z",
    "usage_is_newer": False,
    "computed_at": "2026-11-22T14:00:01Z",
    "closes_at": "2026-12-02T00:00:00Z",
    "held_at": None,
    "hold_reason": "",
    "approved_at": None,
    "finalized_at": None,
    "due_on": None,
    "credits_applied": "0.00",
    "credited": "0.00",
    "paid": "0.00",
    "written_off": "0.00",
    "amount_due": "64.26",
    "payment_status": "unpaid",
    "voided_at": None,
    "replaces": None,
    "is_correction": False,
    "lines": [
        _line(
            1,
            "usage",
            "ApiCalls",
            "40.00",
            meter="ApiCalls",
            unit="calls",
            quantity="12300",
            rate={"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
            steps=[
                {"kind": "included", "quantity": "5000", "of": "5000", "amount": "0"},
                {
                    "kind": "blocks",
                    "quantity": "7300",
                    "blocks": "8",
                    "block_size": "1000",
                    "block_price": "5",
                    "partial_block": "round_up",
                    "amount": "40",
                },
            ],
            explanation=[
                "5,000 of 5,000 free calls used.",
                "7,300 calls = 8 blocks x $5.00 = $40.00.",
                "A started block counts in full.",
            ],
        ),
        _line(
            2,
            "fee",
            "Platform",
            "20.00",
            fee="platform",
            quantity="1",
            steps=[{"kind": "fee", "quantity": "1", "unit_price": "20", "amount": "20"}],
            explanation=["The fee is $20.00."],
        ),
        _line(
            3,
            "promotion",
            "Welcome",
            "-6.00",
            promotion="welcome",
            steps=[{"kind": "discount", "quantity": "0", "percent": "10", "base": "60", "amount": "-6"}],
            explanation=["10% of $60.00: $6.00 is taken off."],
        ),
        _line(
            4,
            "tax",
            "VAT",
            "10.26",
            tax_rate="vat",
            steps=[{"kind": "tax", "quantity": "0", "percent": "19", "base": "54", "amount": "10.26"}],
            explanation=["19% of $54.00 = $10.26."],
        ),
    ],
}
