"""What can be asked: usage, the invoice that is running, a session of the portal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

Document = Mapping[str, Any]
Parameters = list[tuple[str, str]]


@dataclass(frozen=True)
class UsageRow:
    """One window of one group. `other`: of all groups that are not among the `top` ones."""

    start: datetime
    end: datetime
    group: Mapping[str, str]
    value: Decimal
    events: int
    other: bool


@dataclass(frozen=True)
class Usage:
    """How much of a meter was used in `[start, end)`, exact up to `usage_version`."""

    meter: str
    unit: str
    aggregation: str
    customers: tuple[str, ...] | None
    start: datetime
    end: datetime
    time_zone: str
    value: Decimal
    events: int
    usage_version: int
    rows: tuple[UsageRow, ...]
    document: Document = field(repr=False)


@dataclass(frozen=True)
class InvoiceLine:
    """`explanation` says in sentences how the amount comes about."""

    kind: str
    name: str
    meter: str | None
    unit: str
    quantity: Decimal | None
    amount: Decimal
    explanation: tuple[str, ...]


@dataclass(frozen=True)
class Invoice:
    """An invoice; an open one is an estimate that follows usage. `document` is all that the API says of it."""

    id: int
    number: str
    status: str
    customer: str
    currency: str
    period_start: datetime
    period_end: datetime
    subtotal: Decimal
    total: Decimal
    amount_due: Decimal
    lines: tuple[InvoiceLine, ...]
    document: Document = field(repr=False)


@dataclass(frozen=True)
class PortalSession:
    """A link that opens the portal for one customer, once: send the browser there. The link works until
    `link_expires_at`, the session that comes of it until `expires_at`."""

    id: int
    url: str
    link_expires_at: datetime
    expires_at: datetime
    document: Document = field(repr=False)


def usage_parameters(
    meter: str,
    customer: str | Sequence[str] | None,
    period: str | None,
    start: datetime | None,
    end: datetime | None,
    window: str | None,
    group_by: Sequence[str],
    filter: Mapping[str, str | Sequence[str]] | None,
    top: int | None,
    time_zone: str | None,
) -> Parameters:
    """The query of `GET /v1/usage`."""
    found: Parameters = [("meter", meter)]
    found += [("customer", key) for key in _texts(customer)]
    one = {"period": period, "from": start, "to": end, "window": window, "top": top, "time_zone": time_zone}
    for name, value in one.items():
        if isinstance(value, datetime):
            found.append((name, _sent_time(value)))
        elif value is not None:
            found.append((name, str(value)))
    found += [("group_by", name) for name in group_by]
    for name, wanted in (filter or {}).items():
        found += [(f"filter[{name}]", text) for text in _texts(wanted)]
    return found


def usage_of(document: Document) -> Usage:
    customers = document["customers"]
    rows = tuple(
        UsageRow(
            start=parse_time(row["from"]),
            end=parse_time(row["to"]),
            group=row["group"],
            value=Decimal(row["value"]),
            events=row["events"],
            other=row.get("other", False),
        )
        for row in document["data"]
    )
    return Usage(
        meter=document["meter"],
        unit=document["unit"],
        aggregation=document["aggregation"],
        customers=None if customers is None else tuple(customers),
        start=parse_time(document["from"]),
        end=parse_time(document["to"]),
        time_zone=document["time_zone"],
        value=Decimal(document["total"]["value"]),
        events=document["total"]["events"],
        usage_version=document["usage_version"],
        rows=rows,
        document=document,
    )


def invoice_of(document: Document) -> Invoice:
    lines = tuple(
        InvoiceLine(
            kind=line["kind"],
            name=line["name"],
            meter=line["meter"],
            unit=line["unit"],
            quantity=None if line["quantity"] is None else Decimal(line["quantity"]),
            amount=Decimal(line["amount"]),
            explanation=tuple(line["explanation"]),
        )
        for line in document["lines"]
    )
    return Invoice(
        id=document["id"],
        number=document["number"],
        status=document["status"],
        customer=document["customer"],
        currency=document["currency"],
        period_start=parse_time(document["period_start"]),
        period_end=parse_time(document["period_end"]),
        subtotal=Decimal(document["subtotal"]),
        total=Decimal(document["total"]),
        amount_due=Decimal(document["amount_due"]),
        lines=lines,
        document=document,
    )


def current_invoice_parameters(customer: str | None) -> Parameters:
    """The query of `GET /v1/invoices` for the one that runs; a key of one customer needs not name it."""
    return [("status", "open"), ("limit", "1"), *([] if customer is None else [("customer", customer)])]


def first_invoice_of(document: Document) -> Invoice | None:
    found = document["data"]
    return invoice_of(found[0]) if found else None


def portal_session_path(customer: str) -> str:
    return f"/v1/customers/{quote(customer, safe='')}/portal-sessions"


def portal_session_body(
    return_url: str | None,
    page: str | None,
    invoice: str | None,
    expires_in: int | None,
    role: str | None,
    member: str | None,
) -> dict[str, Any]:
    """The body of `POST /v1/customers/{key}/portal-sessions`."""
    given = {
        "return_url": return_url,
        "page": page,
        "invoice": invoice,
        "expires_in": expires_in,
        "role": role,
        "member": member,
    }
    return {name: value for name, value in given.items() if value is not None}


def portal_session_of(document: Document) -> PortalSession:
    return PortalSession(
        id=document["id"],
        url=document["url"],
        link_expires_at=parse_time(document["link_expires_at"]),
        expires_at=parse_time(document["expires_at"]),
        document=document,
    )


def parse_time(text: str) -> datetime:
    # Python before 3.11 knows no Z.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def _sent_time(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError("A time needs a time zone, such as datetime.now(timezone.utc) has it.")
    return time.isoformat()


def _texts(one_or_more: str | Sequence[str] | None) -> Sequence[str]:
    if one_or_more is None:
        return ()
    return (one_or_more,) if isinstance(one_or_more, str) else one_or_more
