"""Usage that no rate matched: it is on its invoice, with nothing to pay for it."""

from collections import defaultdict
from decimal import Decimal

from invoices.auditing.looking import Finding, Look, Seen, name_of, quantity_words
from invoices.late.corrections import key_of
from invoices.lines.explained import parts_of
from invoices.models import AuditFinding, Correction, Invoice, InvoiceLine
from pricing.money import total_of

CHECK = AuditFinding.Check.NO_RATE
UNPRICED = InvoiceLine.Kind.UNPRICED
ZERO = Decimal(0)


def look(at: Look) -> Seen:
    invoices = Invoice.objects.filter(customer__in=at.ids, is_correction=False, period_end__gt=at.since)
    invoices = invoices.exclude(status=Invoice.Status.VOID)
    quantities: dict[tuple[int, str], list[Decimal]] = defaultdict(list)
    named: dict[tuple[int, str], tuple[str, str]] = {}
    lines = InvoiceLine.objects.filter(invoice__in=invoices, kind=UNPRICED).select_related("invoice")
    for line in lines.order_by("invoice", "position"):
        about = line.invoice_id, key_of(line)
        part = parts_of([line])[0]
        named[about] = (f"{line.name} ({part})" if part else line.name, line.unit)
        quantities[about].append(line.quantity or ZERO)
    of_final = Correction.objects.filter(
        invoice__in=invoices.filter(status=Invoice.Status.FINAL), kind=UNPRICED
    ).order_by("invoice", "pk")
    for one in of_final:
        named.setdefault((one.invoice_id, one.key), (one.name, one.unit))
        quantities[one.invoice_id, one.key] += [one.quantity_after or ZERO, (one.quantity_before or ZERO).copy_negate()]
    seen = Seen()
    seen.checked[CHECK] = invoices.count()
    found = Invoice.objects.in_bulk({pk for pk, _ in quantities})
    # In the order of the invoices; those of one stay in that of its lines.
    for about, parts in sorted(quantities.items(), key=lambda one: one[0][0]):
        quantity = total_of(parts)
        if quantity:
            (name, unit), invoice = named[about], found[about[0]]
            text = f"No rate prices {name} on {name_of(invoice)}"[:500]
            used = quantity_words(quantity, unit)[:120]
            seen.findings.append(Finding(CHECK, text, invoice.customer_id, invoice.pk, "", used))
    return seen
