"""How templates write money, quantities and times. Every figure goes through `pricing.money`."""

import json
from datetime import date as calendar_day
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from invoices import states
from invoices.branding import Brand, brand
from invoices.models import Invoice
from invoices.states import MoneyState
from meters import words
from meters.periods import Period, local_date
from pricing.money import format_money, format_quantity

register = template.Library()


@register.simple_tag(name="brand")
def brand_tag() -> Brand:
    return brand()


@register.simple_tag
def logo_size(of: Brand, height: int, width: int) -> tuple[int, int]:
    """How wide and high a brand's logo is shown in a box of this size."""
    return of.logo_size(height=height, width=width)


@register.simple_tag
def company_name() -> str:
    return brand().name


@register.filter
def money(amount: Decimal, currency: str) -> str:
    return format_money(amount, currency)


@register.filter
def owed_back(due: Decimal, currency: str) -> str:
    """What an amount below zero is to who is paid back."""
    return format_money(due.copy_negate(), currency)


@register.simple_tag
def money_state(invoice: Invoice) -> MoneyState:
    return states.money_state(invoice, local_date(timezone.now(), invoice.zone))


@register.filter
def day(date: calendar_day) -> str:
    return words.day_words(date)


@register.filter
def quantity(number: Decimal) -> str:
    return format_quantity(number)


@register.filter
def plain(number: Decimal) -> str:
    """A number as HTML attributes want it: no separators, no exponent."""
    return format(number, "f")


@register.filter
def shell_json(text: str) -> str:
    """A JSON string that stands between single quotes on a command line."""
    return json.dumps(text, ensure_ascii=False).replace("'", "\\u0027")


@register.filter
def plan_name(invoice: Invoice) -> str:
    return invoice.plan_name or invoice.plan_version.plan.public_name


@register.filter
def invoice_period(invoice: Invoice) -> str:
    """ "1–30 Nov 2026"."""
    return words.period_words(invoice.period, invoice.zone)


@register.simple_tag
def month_words(period: Period, zone: ZoneInfo) -> str:
    return words.period_words(period, zone)


@register.simple_tag
def period_end(invoice: Invoice) -> SafeString:
    """When the period is over, as a <time>."""
    return _time(invoice.period_end, words.instant_words(invoice.period_end, invoice.zone))


@register.simple_tag
def grace_end(invoice: Invoice) -> SafeString:
    """Until when late usage is still counted, as a <time>."""
    end = invoice.closes_at
    return _time(end, words.instant_words(end, invoice.zone))


@register.simple_tag
def date(instant: datetime, zone: ZoneInfo | str) -> SafeString:
    return _time(instant, words.day_words(local_date(instant, _zone(zone))))


@register.simple_tag
def last_day(end: datetime, zone: ZoneInfo | str) -> SafeString:
    """The last day before `end`, which is a midnight."""
    return _time(end, words.day_words(local_date(end - words.INSTANT, _zone(zone))))


@register.simple_tag(takes_context=True)
def clock(context: Context, instant: datetime, zone: ZoneInfo | str) -> SafeString:
    """ "14:02 UTC", in the zone that who looks has chosen, else in this one."""
    return _time(instant, words.clock_words(instant, shown_zone(context, zone)))


@register.simple_tag(takes_context=True)
def moment(context: Context, instant: datetime, zone: ZoneInfo | str) -> SafeString:
    """Likewise with its day."""
    return _time(instant, words.instant_words(instant, shown_zone(context, zone)))


@register.simple_tag(takes_context=True)
def second(context: Context, instant: datetime, zone: ZoneInfo | str) -> SafeString:
    """Likewise with its second, as the event log has it."""
    return _time(instant, words.second_words(instant, shown_zone(context, zone)))


@register.simple_tag(takes_context=True)
def shown_zone(context: Context, zone: ZoneInfo | str) -> ZoneInfo:
    """In which moments are shown; days and periods of bills are always in the customer's."""
    viewer = getattr(context.get("request"), "viewer", None)
    return getattr(viewer, "zone", None) or _zone(zone)


def _zone(zone: ZoneInfo | str) -> ZoneInfo:
    return ZoneInfo(zone) if isinstance(zone, str) else zone


def _time(instant: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', f"{instant:%Y-%m-%dT%H:%M:%SZ}", text)
