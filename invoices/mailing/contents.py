"""What mails say. One shape for all kinds, which the templates in templates/mail/ make text and HTML of."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.urls import reverse

from invoices.alerting.words import reached_words, threshold_words
from invoices.branding import brand
from invoices.lines.explained import TAXES, parts_of, percent_of_tax
from invoices.models import Alert, CreditRule, Invoice, InvoiceLine
from meters.words import day_words, period_words
from pricing.money import format_money

# More lines than that are on the invoice itself.
MOST_LINES = 30


@dataclass(frozen=True, slots=True)
class MailContent:
    """`facts` are labels with what they say; `lines` names with amounts, the last of which are sums. What is not for
    staff says at its foot where people choose their mails and find help."""

    subject: str
    intro: str
    facts: Sequence[tuple[str, str]] = ()
    lines: Sequence[tuple[str, str]] = ()
    sums: Sequence[tuple[str, str]] = ()
    outro: str = ""
    url: str = ""
    url_text: str = ""
    is_for_staff: bool = False


def invoice_content(invoice: Invoice) -> MailContent:
    """A final invoice, for the customer."""
    period = period_words(invoice.period, invoice.zone)
    currency = invoice.currency
    lines = list(invoice.lines.select_related("invoice").order_by("position"))
    taxes = [line for line in lines if line.kind in TAXES]
    shown = [
        (f"{line.name} ({part})" if part else line.name, format_money(line.amount, currency))
        for line, part in zip(lines, parts_of(lines), strict=True)
        if line.kind not in TAXES
    ]
    if len(shown) > MOST_LINES:
        shown = [*shown[:MOST_LINES], (f"and {len(shown) - MOST_LINES} more, on the invoice", "")]
    sums = [("Subtotal", format_money(invoice.subtotal, currency))] if taxes else []
    sums += [(_tax_name(line), format_money(line.amount, currency)) for line in taxes]
    sums.append(("Total", format_money(invoice.total, currency)))
    due = invoice.amount_due
    if due != invoice.total:
        if invoice.credits_applied:
            sums.append(("Paid by credits", format_money(invoice.credits_applied.copy_negate(), currency)))
        sums.append(("Amount due", format_money(due, currency)))
    facts = [("Invoice", invoice.number), ("Period", period), ("Plan", invoice.plan_version.plan.public_name)]
    if due > 0 and invoice.due_on is not None:
        facts.append(("Due", day_words(invoice.due_on)))
    return MailContent(
        subject=f"Invoice {invoice.number} from {brand().name}: {format_money(due, currency)}",
        intro=f"Your invoice for {period} is ready.",
        facts=facts,
        lines=shown,
        sums=sums,
        outro="There is nothing to pay." if due <= 0 else "",
        url=page_url("portal:invoice", invoice.pk),
        url_text="See the invoice, and how each amount comes about",
    )


def _tax_name(line: InvoiceLine) -> str:
    percent = percent_of_tax(line)
    return f"{line.name} {percent}%" if percent and line.kind == InvoiceLine.Kind.TAX else line.name


def alert_content(alert: Alert, invoice: Invoice, value: Decimal) -> MailContent:
    """That a threshold was reached, for whom the alert is for. `value` is in the unit of the threshold."""
    is_staff = alert.audience == Alert.Audience.STAFF
    reached = reached_words(alert, value)
    name = invoice.customer.name or invoice.customer.key
    facts = [("Customer", name)] if is_staff else []
    facts += [("Alert", alert.name), ("Period", period_words(invoice.period, invoice.zone))]
    return MailContent(
        subject=f"{alert.name}: {reached} reached{f' by {name}' if is_staff else ''}",
        intro=_alert_intro(alert),
        facts=[*facts, *_threshold_facts(alert), ("Reached", reached)],
        sums=[("Estimate so far, before tax", format_money(invoice.subtotal, invoice.currency))],
        url=page_url("admin:invoices_invoice_change" if is_staff else "portal:invoice", invoice.pk),
        url_text="See the bill",
        is_for_staff=is_staff,
    )


def alert_example(alert: Alert) -> MailContent:
    """What it would say, where there is no bill to say it of."""
    return MailContent(
        subject=f"{alert.name}: {threshold_words(alert)} reached",
        intro=_alert_intro(alert),
        facts=[("Alert", alert.name), *_threshold_facts(alert)],
        is_for_staff=alert.audience == Alert.Audience.STAFF,
    )


def _alert_intro(alert: Alert) -> str:
    return f"The alert “{alert.name}” has reached its threshold. It is told once in each period."


def _threshold_facts(alert: Alert) -> list[tuple[str, str]]:
    facts = [] if alert.product_item is None else [("Of", str(alert.product_item))]
    facts.append(("Threshold", threshold_words(alert)))
    if alert.budget is not None:
        facts.append(("Budget", format_money(alert.budget, alert.currency)))
    return facts


def credit_content(rule: CreditRule, left: Decimal) -> MailContent:
    """That a customer's credit is low, for the customer."""
    currency = rule.currency
    asked = "" if rule.top_up is None else f"Add {format_money(rule.top_up, currency)} to go on as before."
    return MailContent(
        subject=f"Your credit with {brand().name} is low: {format_money(left, currency)} left",
        intro="Your prepaid credit is running low.",
        facts=[
            ("Left, with the running bill taken off", format_money(left, currency)),
            ("Told below", format_money(rule.low_below, currency)),
        ],
        outro=asked,
        url=page_url("portal:overview"),
        url_text="See your usage and your credit",
    )


def page_url(name: str, *args: int) -> str:
    """A link to a page; nothing where the installation does not know its own address."""
    return f"{settings.PUBLIC_URL}{reverse(name, args=args)}" if settings.PUBLIC_URL else ""
