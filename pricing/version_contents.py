"""What is in a plan version: its terms, rates and fees, as they are compared and copied."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from pricing.models import Fee, PlanVersion, Rate
from pricing.version_choice import is_past_trial

# Terms that only mean something together: a private plan that has one of its own keeps all of them.
TERM_GROUPS = (
    ("interval", "interval_count", "alignment"),
    ("trial_days",),
    ("minimum", "commitment", "overage_factor"),
)
RATE_FIELDS = ("product_item", "where", "parameters", "prorated", "position")
FEE_FIELDS = ("key", "name", "kind", "amount", "percent", "quantity", "unit", "prorated")

RateKey = tuple[int, str]


def rate_key(product_item_id: int, where: Mapping[str, Any]) -> RateKey:
    """What a version has one rate of: a product item and a filter."""
    return product_item_id, json.dumps(where, sort_keys=True)


def key_of(row: Rate | Fee) -> RateKey | str:
    return rate_key(row.product_item_id, row.where) if isinstance(row, Rate) else row.key


def in_order(rates: Iterable[Rate]) -> list[Rate]:
    """The rates of a version as they are looked at, by product item: usage is priced by the first that it meets.

    That is the one that names the most dimensions, of those the one with the fewest texts, of those the first.
    """

    def place(rate: Rate) -> tuple[int, int, int, int, int]:
        return rate.product_item_id, -len(rate.where), sum(map(len, rate.where.values())), rate.position, rate.pk

    return sorted(rates, key=place)


def same_rate(rate: Rate, other: Rate) -> bool:
    return all(getattr(rate, name) == getattr(other, name) for name in ("where", "parameters", "prorated"))


def same_fee(fee: Fee, other: Fee) -> bool:
    return all(getattr(fee, name) == getattr(other, name) for name in FEE_FIELDS)


def same_contents(version: PlanVersion, other: PlanVersion) -> bool:
    """Whether two versions say the same in all that moves a bill or is read on it."""
    if any(getattr(version, name) != getattr(other, name) for name in ("currency", *PlanVersion.TERMS)):
        return False
    rates, others = (in_order(each.rates.all()) for each in (version, other))
    if [key_of(rate) for rate in rates] != [key_of(rate) for rate in others]:
        return False
    if not all(map(same_rate, rates, others)):
        return False
    fees, other_fees = ({fee.key: fee for fee in each.fees.all()} for each in (version, other))
    return fees.keys() == other_fees.keys() and all(same_fee(fee, other_fees[key]) for key, fee in fees.items())


def is_empty(version: PlanVersion) -> bool:
    """Whether nothing has a price."""
    return not (version.rates.exists() or version.fees.exists())


def copy_terms(source: PlanVersion, target: PlanVersion, *, but: Iterable[str] = ()) -> None:
    """Gives a version, which is not saved, the currency and the terms of another."""
    target.currency = source.currency
    for name in set(PlanVersion.TERMS) - set(but):
        setattr(target, name, getattr(source, name))


def copy_rows(
    source: PlanVersion, target: PlanVersion, *, keep: Callable[[Rate | Fee], bool], inherited: bool = False
) -> None:
    """Copies the rates and fees that `keep` says; as `inherited` they are none of a private plan's own."""
    Rate.objects.bulk_create(
        Rate(
            plan_version=target,
            **{name: getattr(rate, name) for name in RATE_FIELDS},
            is_override=rate.is_override and not inherited,
        )
        for rate in source.rates.select_related("product_item").order_by("position", "id")
        if keep(rate)
    )
    Fee.objects.bulk_create(
        Fee(
            plan_version=target,
            **{name: getattr(fee, name) for name in FEE_FIELDS},
            is_override=fee.is_override and not inherited,
        )
        for fee in source.fees.order_by("id")
        if keep(fee)
    )


def can_be_sold(row: Rate | Fee) -> bool:
    """Not of a product item that is retired."""
    return isinstance(row, Fee) or row.product_item.retired_at is None


def rebase(version: PlanVersion, base: PlanVersion) -> None:
    """Gives a private plan's version everything of a version of its base plan but what is the customer's own.

    Its rates stand in the order of the base's, one of its own in the place of the base's; one that the base does not
    have stays behind the rate that it stood behind. A one-time fee that is new in the base is 0, as the customer's own,
    for one that does not begin again.

    Raises ValidationError where the base is in another currency than the amounts that are the customer's own.
    """
    before = list(version.rates.order_by("position", "id"))
    own_rates, own_fees = version.rates.filter(is_override=True), version.fees.filter(is_override=True)
    if version.currency != base.currency and (
        own_rates.exists() or own_fees.exclude(kind=Fee.Kind.PERCENT).exists() or "minimum" in version.overridden_terms
    ):
        raise ValidationError(
            {
                "currency": f"The private plan {version.plan.key} follows this one and has prices of its own in"
                f" {version.currency}: let it no longer follow, or drop its own prices first."
            }
        )
    one_time = version.fees.filter(kind=Fee.Kind.ONE_TIME)
    known = list(one_time.values_list("key", flat=True))
    version.rates.filter(is_override=False).delete()
    version.fees.filter(is_override=False).delete()
    copy_terms(base, version, but=version.overridden_terms)
    version.save()
    kept = {key_of(rate) for rate in own_rates} | {key_of(fee) for fee in own_fees}
    copy_rows(base, version, keep=lambda row: key_of(row) not in kept, inherited=True)
    _order_as_in_base(version, base, [key_of(rate) for rate in before])
    if _does_not_begin_again(version):
        one_time.filter(is_override=False).exclude(key__in=known).update(amount=0, is_override=True)


def place_rates(version: PlanVersion, keys: Iterable[RateKey | str]) -> None:
    """Gives the rates of a version, all of which are named, their places in this order."""
    rates = {key_of(rate): rate for rate in version.rates.all()}
    placed = [rates[key] for key in keys]
    for position, rate in enumerate(placed, start=1):
        rate.position = position
    Rate.objects.bulk_update(placed, ["position"])


def _order_as_in_base(version: PlanVersion, base: PlanVersion, before: Iterable[RateKey | str]) -> None:
    """`before`: the rates that the version had, in their order."""
    there = {key_of(rate) for rate in version.rates.all()}
    shared = [key for key in map(key_of, base.rates.order_by("position", "id")) if key in there]
    # Those that only this version has, by the rate that they stood behind.
    behind: dict[RateKey | str | None, list[RateKey | str]] = {}
    last: RateKey | str | None = None
    for key in before:
        if key in shared:
            last = key
        elif key in there:
            behind.setdefault(last, []).append(key)
    place_rates(version, [one for key in (None, *shared) for one in ([key] if key else []) + behind.get(key, [])])


def _does_not_begin_again(version: PlanVersion) -> bool:
    """Whether a private plan's version has no trial because its customer is past that of the base plan."""
    customer, base = version.plan.customer, version.plan.base
    if customer is None or base is None or version.trial_days or "trial_days" not in version.overridden_terms:
        return False
    return is_past_trial(customer, base)
