"""What opened lines and their events look like, for the API document. A test makes these very ones."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from invoices.api.examples import INVOICE

PRICE = "AwesomeIntegrationApi, version 1, in force since 1 Nov 2026"
SPAN = {
    "from": "2026-11-01T00:00:00Z",
    "to": "2026-12-01T00:00:00Z",
    "time_zone": "UTC",
    "utc": "1 Nov 2026, 00:00 UTC to 1 Dec 2026, 00:00 UTC",
    "local": "1 Nov 2026, 00:00 UTC to 1 Dec 2026, 00:00 UTC",
}
ADDRESS = "https://billing.example/v1/invoices/12/lines/1/events"


def _opened(price: str, rate_text: list[str], walk: list[tuple[str, str, str]], **more: Any) -> dict[str, Any]:
    steps = [{"label": label, "detail": detail, "amount": amount} for label, detail, amount in walk]
    opened = {"price": price, "rate_text": rate_text, "span": SPAN, "walk": steps, "rounding": "", "events": None}
    return {**opened, "days": [], "days_notes": [], **more}


_DAYS = [{"day": f"2026-11-{day:02}", "quantity": "12300" if day == 22 else "0"} for day in range(1, 23)]
_LINES = [
    _opened(
        PRICE,
        ["5,000 calls free, then $5.00 per started block of 1,000 calls"],
        [("Free tier", "5,000 of 5,000 free", "0"), ("Blocks of 1,000", "7,300 calls = 8 blocks x $5.00", "40")],
        events=ADDRESS,
        days=_DAYS,
    ),
    _opened(PRICE, ["$20.00, every period"], [("Fee", "$20.00", "20")]),
    _opened("Promotion Welcome, since 1 Nov 2026", ["10% off"], [("Discount", "10% of $60.00", "-6")]),
    _opened("Tax VAT 19%", ["19% of all that stands before"], [("Tax", "19% of $54.00", "10.26")]),
]
OPENED_INVOICE: dict[str, Any] = INVOICE | {
    "lines": [line | opened for line, opened in zip(INVOICE["lines"], _LINES, strict=True)]
}

EVENT: dict[str, Any] = {
    "id": "job-8123",
    "customer": "acme",
    "meter": "ApiCalls",
    "time": "2026-11-22T14:00:00Z",
    "received_at": "2026-11-22T14:00:01Z",
    "value": "12300",
    "dimensions": {"source": "crm", "target": "warehouse"},
    "counts": True,
    "not_counted_because": None,
    "void": None,
    "marks": [],
}
EVENTS = OpenApiExample(
    "A page of one event", {"data": [EVENT], "next": f"{ADDRESS}?cursor=…", "previous": None}, response_only=True
)
EVENTS_CSV = OpenApiExample(
    "As CSV",
    "id,time,received_at,value (calls),counts,marks,source,target,other_dimensions\r\n"
    "job-8123,2026-11-22T14:00:00Z,2026-11-22T14:00:01Z,12300,true,,crm,warehouse,\r\n",
    response_only=True,
    media_type="text/csv",
    status_codes=["200"],
)
