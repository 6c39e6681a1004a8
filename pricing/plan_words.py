"""Terms, fees and filters of a plan version in plain words, the same on every surface."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pricing.models import Fee, PlanVersion, Rate
from pricing.money import format_price, format_quantity

_UNITS = {
    PlanVersion.Interval.DAY: ("day", "days"),
    PlanVersion.Interval.WEEK: ("week", "weeks"),
    PlanVersion.Interval.MONTH: ("month", "months"),
    PlanVersion.Interval.QUARTER: ("quarter", "quarters"),
    PlanVersion.Interval.YEAR: ("year", "years"),
}


def describe_cycle(version: PlanVersion) -> str:
    """ "every month, by the calendar", "every 2 weeks, from the customer's first day"."""
    one, many = _UNITS[PlanVersion.Interval(version.interval)]
    every = f"every {one}" if version.interval_count == 1 else f"every {version.interval_count} {many}"
    anniversary = version.alignment == PlanVersion.Alignment.ANNIVERSARY
    return f"{every}, {'from the day that the customer began' if anniversary else 'by the calendar'}"


def describe_terms(version: PlanVersion) -> list[tuple[str, str]]:
    """Names and words of all terms but those that say nothing, the currency and the billing period first."""
    terms = [("Currency", version.currency), ("Billing period", describe_cycle(version))]
    if version.trial_days:
        terms.append(("Trial", f"{version.trial_days} {'day' if version.trial_days == 1 else 'days'}"))
    if version.minimum:
        terms.append(("Minimum", f"{format_price(version.minimum, version.currency)} a period"))
    if version.commitment is not None:
        terms.append(("Commitment", f"{format_price(version.commitment, version.currency)} a period"))
        if version.overage_factor != 1:
            terms.append(("Beyond the commitment", f"charged times {format_quantity(version.overage_factor)}"))
    return terms


def describe_fee(fee: Fee, currency: str) -> str:
    """ "$10.00 each for 5 seats, every period, by days", "$99.00 once", "5% of usage and other fees"."""
    if fee.kind == Fee.Kind.PERCENT:
        return f"{format_quantity(fee.percent or Decimal(0))}% of usage and other fees"
    price = format_price(fee.amount or Decimal(0), currency)
    if fee.quantity != 1 or fee.unit:
        price += f" each for {format_quantity(fee.quantity)} {fee.unit}".rstrip()
    if fee.kind == Fee.Kind.ONE_TIME:
        return f"{price}, once"
    return f"{price}, every period" + ("" if fee.prorated else ", whole also in a shorter one")


def describe_filter(where: Mapping[str, Sequence[str]]) -> str:
    """ "region is eu or us and tier is gold"; empty for none."""
    return " and ".join(f"{name} is {any_of(texts)}" for name, texts in sorted(where.items()))


def any_of(texts: Sequence[str]) -> str:
    """Texts of a filter; the empty one is that of events that do not have the dimension."""
    return " or ".join(text or "not set" for text in texts)


def rate_name(rate: Rate) -> str:
    """ "API calls where region is eu"."""
    words = describe_filter(rate.where)
    return f"{rate.product_item} where {words}" if words else str(rate.product_item)
