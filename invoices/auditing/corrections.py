"""Corrections of final invoices: that they start from what was billed, and that other documents make up for them."""

from collections import defaultdict
from decimal import Decimal

from django.db.models import Exists, F, OuterRef, Q

from invoices.auditing.looking import Finding, Look, Seen, money_words, name_of
from invoices.late.corrections import key_of, waiting_for_no_invoice
from invoices.lines.explained import CORRECTIONS
from invoices.models import AuditFinding, Correction, CreditNoteLine, Invoice, InvoiceLine
from meters.models import UsageVersion
from pricing.money import total_of

CHECK = AuditFinding.Check.CORRECTIONS
FINAL = Invoice.Status.FINAL


def look(at: Look) -> Seen:
    seen = Seen()
    corrections = list(
        Correction.objects.filter(invoice__customer__in=at.ids, invoice__status=FINAL)
        .select_related("invoice")
        .order_by("pk")
    )
    seen.checked[CHECK] = len(corrections)
    seen.findings += _not_as_billed(corrections)
    strays = [*_strays(at), *_stray_notes(at), *_misplaced(at)]
    seen.findings += strays
    # Whose rows are not whole, of those nothing more can be said.
    broken = {one.customer_id for one in strays}
    void = InvoiceLine.objects.filter(corrects__status=Invoice.Status.VOID, invoice__customer__in=at.ids)
    concerned = {one.invoice.customer_id for one in corrections}
    concerned |= set(void.order_by().values_list("invoice__customer", flat=True))
    for customer in sorted(concerned - broken):
        if not _waits(customer):
            seen.findings += _made_up_for_by_none(customer)
    return seen


def _not_as_billed(corrections: list[Correction]) -> list[Finding]:
    billed: dict[tuple[int, str], list[Decimal]] = defaultdict(list)
    lines = InvoiceLine.objects.filter(invoice__in={one.invoice_id for one in corrections})
    for line in lines.exclude(kind__in=CORRECTIONS):
        billed[line.invoice_id, key_of(line)].append(line.amount)
    found = []
    for one in corrections:
        amount = total_of(billed[one.invoice_id, one.key])
        if amount != one.amount_before:
            invoice = one.invoice
            text = f"What was billed of {one.name} by its correction, on {name_of(invoice)}"[:500]
            words = [money_words(each, invoice.currency) for each in (amount, one.amount_before)]
            found.append(Finding(CHECK, text, invoice.customer_id, invoice.pk, *words))
    return found


def _strays(at: Look) -> list[Finding]:
    """Lines that correct something of which no correction is known, or another customer's invoice."""
    known = Correction.objects.filter(invoice=OuterRef("corrects"), key=OuterRef("corrects_key"))
    lines = InvoiceLine.objects.filter(corrects__isnull=False, invoice__customer__in=at.ids)
    lines = lines.exclude(invoice__status=Invoice.Status.VOID)
    other = ~Q(corrects__customer=F("invoice__customer")) | ~Q(corrects__currency=F("invoice__currency"))
    stray = lines.filter(~Exists(known) | other).select_related("invoice").order_by("pk")
    return [_stray(line, "corrects nothing that is known") for line in stray]


def _misplaced(at: Look) -> list[Finding]:
    """Corrections that name nothing, other lines that do, and other lines on invoices that are of corrections alone."""
    lines = InvoiceLine.objects.filter(invoice__customer__in=at.ids)
    corrects = Q(kind__in=CORRECTIONS)
    elsewhere = Q(corrects__isnull=False) | Q(invoice__is_correction=True)
    wrong = lines.filter(corrects & Q(corrects=None) | ~corrects & elsewhere)
    return [_stray(line, "is out of place") for line in wrong.select_related("invoice").order_by("pk")]


def _stray(line: InvoiceLine, what: str) -> Finding:
    invoice = line.invoice
    text = f"{line.name} on {name_of(invoice)} {what}"[:500]
    return Finding(CHECK, text, invoice.customer_id, invoice.pk, "", money_words(line.amount, invoice.currency))


def _stray_notes(at: Look) -> list[Finding]:
    known = Correction.objects.filter(invoice=OuterRef("credit_note__invoice"), key=OuterRef("corrects_key"))
    lines = CreditNoteLine.objects.filter(credit_note__invoice__customer__in=at.ids, credit_note__invoice__status=FINAL)
    # Of a line that corrects an invoice that is void, and what that line says.
    as_line = Q(corrects_key=F("invoice_line__corrects_key"), invoice_line__corrects__status=Invoice.Status.VOID)
    stray = Q(invoice_line=None) & ~Exists(known) | Q(invoice_line__isnull=False) & ~as_line
    found = []
    for line in lines.exclude(corrects_key="").filter(stray).select_related("credit_note__invoice"):
        note, invoice = line.credit_note, line.credit_note.invoice
        text = f"{line.name} on credit note {note.number} corrects nothing that is known"[:500]
        amount = money_words(line.amount, invoice.currency)
        found.append(Finding(CHECK, text, invoice.customer_id, invoice.pk, "", amount))
    return found


def _waits(customer: int) -> bool:
    """Whether invoices of a customer are still to be rated again."""
    finals = Invoice.objects.filter(customer=customer, is_correction=False).exclude(number="")
    if finals.filter(rerated_version__lt=0).exists():
        return True
    changed = UsageVersion.objects.filter(customer=customer, oldest_at__isnull=False)
    oldest = changed.values_list("oldest_at", flat=True).first()
    return oldest is not None and finals.filter(status=FINAL, period_end__gt=oldest).exists()


def _made_up_for_by_none(customer: int) -> list[Finding]:
    """What should have become a document of its own. What a running bill is to carry is compared with its lines."""
    found = []
    for pending in waiting_for_no_invoice(customer):
        invoice = pending[0].invoice
        amount = total_of(one.amount for one in pending)
        text = f"No document makes up for the corrections of {name_of(invoice)}"
        words = [money_words(each, invoice.currency) for each in (amount, Decimal(0))]
        found.append(Finding(CHECK, text, customer, invoice.pk, *words))
    return found
