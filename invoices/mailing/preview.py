"""What a mail looks like before anybody gets one: of a real invoice, alert or rule where there is one."""

from django.utils import timezone

from invoices.alerting.preview import alert_then
from invoices.branding import brand
from invoices.mailing.contents import MailContent, alert_content, credit_content, invoice_content
from invoices.models import AlertFiring, CreditRule, Invoice, MailSetting
from invoices.prepaid.balances import standings_of

Kind = MailSetting.Kind


def preview_of(kind: str) -> tuple[MailContent, str]:
    """The newest that there is to tell of, and of what it is in words; else an example."""
    found = {
        Kind.INVOICE_FINALIZED: _invoice,
        Kind.ALERT_TRIGGERED: _alert,
        Kind.CREDIT_LOW: _credit,
    }[Kind(kind)]()
    return found or (_EXAMPLES[Kind(kind)](), "an example, as there is none yet")


def _invoice() -> tuple[MailContent, str] | None:
    finals = Invoice.objects.filter(status=Invoice.Status.FINAL).select_related("customer", "plan_version__plan")
    # One of nothing shows little.
    invoice = finals.filter(total__gt=0).order_by("-id").first() or finals.order_by("-id").first()
    return None if invoice is None else (invoice_content(invoice), f"invoice {invoice.number} of {invoice.customer}")


def _alert() -> tuple[MailContent, str] | None:
    about = ("alert__product_item__meter", "invoice__customer")
    firing = AlertFiring.objects.select_related(*about).order_by("-id").first()
    if firing is None:
        return None
    content = alert_content(alert_then(firing), firing.invoice, firing.value)
    return content, f"{firing.alert} of {firing.invoice.customer}"


def _credit() -> tuple[MailContent, str] | None:
    rule = CreditRule.objects.select_related("customer").order_by("-pk").first()
    if rule is None:
        return None
    left = standings_of([(rule.customer_id, rule.currency)], timezone.now())[rule.customer_id, rule.currency]
    return credit_content(rule, left), f"the credit of {rule.customer}"


def _example_invoice() -> MailContent:
    return MailContent(
        subject=f"Invoice 2026-0042 from {brand().name}: $47.60",
        intro="Your invoice for 1–30 Nov 2026 is ready.",
        facts=[("Invoice", "2026-0042"), ("Period", "1–30 Nov 2026"), ("Plan", "Pro"), ("Due", "15 Dec 2026")],
        lines=[("API calls", "$40.00")],
        sums=[("Subtotal", "$40.00"), ("VAT 19%", "$7.60"), ("Total", "$47.60")],
    )


def _example_alert() -> MailContent:
    return MailContent(
        subject="Half the budget: 50% of the budget reached",
        intro="The alert “Half the budget” has reached its threshold. It is told once in each period.",
        facts=[("Alert", "Half the budget"), ("Period", "1–30 Nov 2026"), ("Budget", "$500.00")],
        sums=[("Estimate so far, before tax", "$250.00")],
    )


def _example_credit() -> MailContent:
    return MailContent(
        subject=f"Your credit with {brand().name} is low: $8.50 left",
        intro="Your prepaid credit is running low.",
        facts=[("Left, with the running bill taken off", "$8.50"), ("Told below", "$10.00")],
        outro="Add $50.00 to go on as before.",
    )


_EXAMPLES = {
    Kind.INVOICE_FINALIZED: _example_invoice,
    Kind.ALERT_TRIGGERED: _example_alert,
    Kind.CREDIT_LOW: _example_credit,
}
