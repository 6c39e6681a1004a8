"""What alerts are called in words, on pages and in mails."""

from decimal import ROUND_FLOOR, Context, Decimal

from invoices.alerting.standing import Standing
from invoices.models import Alert
from pricing.money import format_money, format_quantity

Kind = Alert.Kind
_CUT = Context(prec=400, rounding=ROUND_FLOOR)


def reached_words(alert: Alert, value: Decimal) -> str:
    """What a bill has reached, in the unit of the alert's threshold. 99.96% is not yet 100%."""
    if alert.kind == Kind.AMOUNT:
        return format_money(value, alert.currency)
    if alert.kind == Kind.QUANTITY:
        return _units(alert, value)
    return f"{_percent(value)} of {_whole(alert)}"


def threshold_words(alert: Alert, threshold: Decimal | None = None) -> str:
    """The alert's threshold, or one that it had, to the last digit."""
    value = alert.threshold if threshold is None else threshold
    if alert.kind in (Kind.FREE_TIER, Kind.BUDGET):
        return f"{format_quantity(value)}% of {_whole(alert)}"
    return reached_words(alert, value)


def watched_words(alert: Alert) -> str:
    """ "80% of the free units of ApiCalls", "50% of a budget of $100.00", "$50.00 before tax": what is told of."""
    words = threshold_words(alert)
    if alert.kind == Kind.AMOUNT:
        return f"{words} before tax"
    if alert.kind == Kind.BUDGET and alert.budget is not None:
        return f"{format_quantity(alert.threshold)}% of a budget of {format_money(alert.budget, alert.currency)}"
    return f"{words} of {alert.product_item}"


def standing_words(alert: Alert, standing: Standing) -> str:
    """ "63% of 10,000 free calls", "63% of $500.00 ($315.00)", "$40.00", "12,300 calls"."""
    if standing.used is None or standing.of is None:
        return reached_words(alert, standing.value)
    percent = _percent(standing.value)
    if alert.kind == Kind.BUDGET:
        of, used = (format_money(amount, alert.currency) for amount in (standing.of, standing.used))
        return f"{percent} of {of} ({used})"
    unit = "events" if standing.in_events else _unit(alert) or "units"
    return f"{percent} of {format_quantity(standing.of)} free {unit}"


def _percent(value: Decimal) -> str:
    return f"{format_quantity(value.quantize(Decimal('0.1'), context=_CUT))}%"


def _whole(alert: Alert) -> str:
    return "the budget" if alert.kind == Kind.BUDGET else "the free units"


def _units(alert: Alert, value: Decimal) -> str:
    return f"{format_quantity(value)} {_unit(alert)}".rstrip()


def _unit(alert: Alert) -> str:
    return "" if alert.product_item is None else alert.product_item.meter.unit
