"""What events say: ids, keys, and figures as decimal text. docs/webhooks.md shows one of each."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from invoices.models import Alert, CreditNote, Invoice, OutboxEvent
from meters.aggregation import plain
from meters.models import Customer
from pricing.models import Assignment, AssignmentQuantity
from pricing.money import amount_text

# Of a body; what would be longer goes out without its data.
MOST_BYTES = 64 * 1024

Data = dict[str, Any]


def about_invoice(invoice_id: int) -> str:
    return f"invoice:{invoice_id}"


def about_customer(customer_id: int) -> str:
    return f"customer:{customer_id}"


def about_assignment(assignment_id: int) -> str:
    return f"assignment:{assignment_id}"


def invoice_data(invoice: Invoice) -> Data:
    """An invoice without its lines; `amount_due` is what is left to pay."""
    money = {
        name: amount_text(getattr(invoice, name), invoice.currency)
        for name in ("subtotal", "total", "credits_applied", "credited", "paid", "amount_due")
    }
    return {
        "id": invoice.pk,
        "number": invoice.number or None,
        "status": str(invoice.status),
        "customer": invoice.customer.key,
        "plan": invoice.plan_version.plan.key,
        "assignment": invoice.assignment_id,
        "period_start": moment(invoice.period_start),
        "period_end": moment(invoice.period_end),
        "time_zone": invoice.time_zone,
        "currency": invoice.currency,
        **money,
        "payment_status": str(invoice.payment_status),
        "due_on": _day(invoice.due_on),
        "usage_version": invoice.usage_version,
        "computed_at": moment(invoice.computed_at),
        "finalized_at": moment(invoice.finalized_at),
    }


def credit_note_data(note: CreditNote) -> Data:
    invoice = note.invoice
    return {
        "id": note.pk,
        "number": note.number,
        "invoice": {"id": invoice.pk, "number": invoice.number},
        "customer": invoice.customer.key,
        "currency": invoice.currency,
        "subtotal": amount_text(note.subtotal, invoice.currency),
        "total": amount_text(note.total, invoice.currency),
        "reason": note.reason,
        "issued_at": moment(note.issued_at),
    }


def alert_data(alert: Alert, invoice: Invoice, value: Decimal) -> Data:
    """`threshold` and `value` are in the unit of the alert: money, units, or percent, cut off behind the 15th digit."""
    threshold, reached = (
        amount_text(one, alert.currency) if alert.kind == Alert.Kind.AMOUNT else plain(one)
        for one in (alert.threshold, value)
    )
    return {
        "alert": {
            "id": alert.pk,
            "name": alert.name,
            "kind": str(alert.kind),
            "audience": str(alert.audience),
            "product_item": None if alert.product_item is None else alert.product_item.meter.key,
        },
        "customer": invoice.customer.key,
        "invoice": {
            "id": invoice.pk,
            "number": invoice.number or None,
            "period_start": moment(invoice.period_start),
            "period_end": moment(invoice.period_end),
        },
        "threshold": threshold,
        "value": reached,
        "budget": None if alert.budget is None else amount_text(alert.budget, alert.currency),
        "currency": alert.currency or None,
    }


def customer_data(customer: Customer) -> Data:
    return {
        "key": customer.key,
        "name": customer.name,
        "email": customer.email,
        "traits": customer.traits,
        "time_zone": customer.time_zone,
        "source": str(customer.source),
        "created_at": moment(customer.created_at),
    }


def assignment_data(assignment: Assignment, change: str, quantity: AssignmentQuantity | None = None) -> Data:
    """`change` is "assigned", "ended", "reopened" or "quantity"; of the last, `quantity` says of what fee."""
    return {
        "id": assignment.pk,
        "change": change,
        "customer": assignment.customer.key,
        "plan": assignment.plan.key,
        "starts_on": _day(assignment.starts_on),
        "ends_on": _day(assignment.ends_on),
        "time_zone": assignment.time_zone,
        "source": str(assignment.source),
        "quantity": None
        if quantity is None
        else {
            "fee": quantity.fee_key,
            "quantity": format(quantity.quantity, "f"),
            "starts_on": _day(quantity.starts_on),
        },
    }


def data_now(event: OutboxEvent) -> Data | None:
    """What a throttled event says, as it is by now; None where what it is about is gone."""
    pk = event.about.partition(":")[2]
    found = Invoice.objects.filter(pk=int(pk)).select_related("customer", "plan_version__plan").first()
    return None if found is None else invoice_data(found)


def body_of(event: OutboxEvent) -> str:
    """What is sent; the same at every try."""
    whole = _body(event, event.data)
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    return _body(event, {"about": event.about, "is_left_out": True})


def _body(event: OutboxEvent, data: Any) -> str:
    message = {"type": str(event.type), "timestamp": moment(event.created_at), "data": data}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def moment(at: datetime | None) -> str | None:
    """A moment as RFC 3339 has it, in UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
