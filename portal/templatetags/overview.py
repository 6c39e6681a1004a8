"""What the overview says of a line."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from invoices.alerting.budgets import Budget
from invoices.models import Invoice, InvoiceLine
from meters.words import last_day, short_day_words
from portal.bills.free import FreeLeft, free_left
from pricing.money import format_quantity

register = template.Library()


@register.filter
def free(line: InvoiceLine) -> list[FreeLeft]:
    return list(free_left(line))


@register.simple_tag
def short_day(invoice: Invoice) -> SafeString:
    """The last day of the invoice's period, as a <time>."""
    day = last_day(invoice.period, invoice.zone)
    return format_html('<time datetime="{}">{}</time>', day.isoformat(), short_day_words(day))


@register.filter
def percents(budget: Budget) -> str:
    """ "50%, 75% and 100%"."""
    *others, last = (f"{format_quantity(threshold)}%" for threshold in budget.thresholds)
    return f"{', '.join(others)} and {last}" if others else last
