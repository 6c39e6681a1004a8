"""What is in a draft: its rates, fees and terms. A version that was activated refuses every change.

In a private plan's draft, what differs from the base plan is marked as the customer's own.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import transaction
from django.db.models import Max

from meters.models import Meter
from pricing.inputs import check_row, known, number
from pricing.models import Fee, Plan, PlanVersion, ProductItem, Rate
from pricing.money import CurrencyError, minor_units
from pricing.product_items import gives_events
from pricing.rates import Rate as ParsedRate
from pricing.rates import needs_events, parse_rate
from pricing.version_choice import active_version
from pricing.version_contents import TERM_GROUPS, same_fee, same_rate

Row = TypeVar("Row", bound=Rate | Fee)

MOST_TEXTS = 1000
LONGEST_TEXT = 500


@transaction.atomic
def set_rate(
    version: PlanVersion,
    *,
    product_item: ProductItem,
    parameters: Mapping[str, Any],
    where: Mapping[str, Any] | None = None,
    prorated: bool = False,
) -> Rate:
    """Puts a price on a product item in a draft, in place of the one it had for the same filter.

    `where` is {dimension: [texts]} of the meter's declared dimensions, the empty text that of an event without one;
    without it the rate prices all the rest.
    A new rate has the last place. Raises RateError (a ValueError that names the path) for parameters that are no rate,
    ValidationError by field for a version that is frozen, an item that is retired, a filter that its meter cannot apply
    and a rate that its meter cannot give the single events for.
    """
    version = lock_draft(version)
    if product_item.retired_at is not None:
        raise ValidationError({"product_item": f"{product_item} is retired."})
    parsed = parse_rate(parameters)
    clean = _clean_where(product_item.meter, where or {})
    check_rate(parsed, product_item.meter)
    wanted = Rate(
        plan_version=version,
        product_item=product_item,
        where=clean,
        parameters=parsed.parameters(),
        prorated=bool(prorated),
    )
    found = version.rates.filter(product_item=product_item, where=clean).first()
    if found is not None and same_rate(found, wanted):
        return found
    inherited = _in_base(version, Rate, product_item=product_item, where=clean)
    wanted.is_override = version.plan.is_private and not (inherited and same_rate(inherited, wanted))
    if found is not None:
        wanted.pk, wanted.position = found.pk, found.position
    else:
        wanted.position = 1 + (version.rates.aggregate(last=Max("position"))["last"] or 0)
    wanted.save()
    return wanted


@transaction.atomic
def remove_rate(rate: Rate) -> None:
    """Takes a rate out of a draft; where it was in place of the base plan's, that one comes back.

    Raises ValidationError by field where the version is frozen, and for a rate that a private plan has from its base.
    """
    rate = locked_row(rate, "product_item")
    _refuse_inherited(rate, "product_item")
    restore(rate)


@transaction.atomic
def set_fee(
    version: PlanVersion,
    *,
    key: str,
    name: str,
    kind: str = Fee.Kind.RECURRING,
    amount: object = None,
    percent: object = None,
    quantity: object = Decimal(1),
    unit: str = "",
    prorated: bool = True,
) -> Fee:
    """Puts a fee into a draft, in place of the one with that key: an amount of one in the version's currency, or a
    percentage of usage and the other fees. Raises ValidationError by field.

    Only recurring fees are prorated, and a percentage has no quantity, whatever is said.
    """
    version = lock_draft(version)
    wanted = Fee(plan_version=version, key=key, name=name, kind=kind, unit=unit, prorated=bool(prorated))
    _set_fee_figures(wanted, amount, percent, quantity)
    check_row(wanted, but=["plan_version"], unique=False)
    found = version.fees.filter(key=wanted.key).first()
    if found is not None and same_fee(found, wanted):
        return found
    inherited = _in_base(version, Fee, key=wanted.key)
    wanted.is_override = version.plan.is_private and not (inherited and same_fee(inherited, wanted))
    if found is not None:
        wanted.pk = found.pk
    wanted.save()
    return wanted


@transaction.atomic
def remove_fee(fee: Fee) -> None:
    """Takes a fee out of a draft; where it was in place of the base plan's, that one comes back.

    Raises ValidationError by field where the version is frozen, and for a fee that a private plan has from its base.
    """
    fee = locked_row(fee, "key")
    _refuse_inherited(fee, "key")
    restore(fee)


@transaction.atomic
def set_terms(version: PlanVersion, **changes: Any) -> PlanVersion:
    """Changes terms of a draft (`PlanVersion.TERMS`) and its currency, and leaves the others. Raises ValidationError
    by field.

    Amounts are in the major unit of the currency, for a whole period. A minimum and a commitment exclude each other.
    """
    given, version = version, lock_draft(version)
    known(changes, (*PlanVersion.TERMS, "currency"))
    before = {name: getattr(version, name) for name in changes}
    for name, value in changes.items():
        if name in ("minimum", "overage_factor") or (name == "commitment" and value is not None):
            value = number(value, name)
        setattr(version, name, value)
    _check_terms(version)
    if version.plan.is_private:
        _mark_own_terms(version, changes, before)
    version.save()
    for name in ("currency", "overridden_terms", *PlanVersion.TERMS):
        setattr(given, name, getattr(version, name))
    return version


def lock_draft(version: PlanVersion) -> PlanVersion:
    """The draft as it is now, held against a concurrent activation. Raises ValidationError where it is none."""
    # The plan before its version, as activation takes them.
    Plan.objects.select_for_update(no_key=True).get(pk=version.plan_id)
    locked = PlanVersion.objects.select_for_update(no_key=True, of=("self",)).select_related("plan__base")
    found = locked.filter(pk=version.pk).first()
    if found is None:
        raise ValidationError({"version": "The draft was discarded meanwhile."})
    if not found.is_draft:
        raise ValidationError(
            {"version": f"{found} is active, so its prices are frozen. Start a new version to change them."}
        )
    return found


def locked_row(row: Row, field: str) -> Row:
    """A rate or fee of a draft as it is now, with the draft held. Raises ValidationError also where it is gone."""
    version = lock_draft(row.plan_version)
    try:
        row.refresh_from_db()
    except ObjectDoesNotExist:
        raise ValidationError({field: f"{row} was removed meanwhile."}) from None
    row.plan_version = version
    return row


def check_rate(rate: ParsedRate, meter: Meter) -> None:
    """Raises ValidationError where a rate needs single events that its meter cannot give."""
    if needs_events(rate) and not gives_events(meter):
        raise ValidationError(
            {
                "model": f"{meter} cannot give the single events that a fee, a free amount or a limit for each event"
                " needs: only a meter that sums values and does not round can."
            }
        )


def restore(row: Rate | Fee) -> Rate | Fee | None:
    """Takes a row out of a draft that is locked, and answers what the base plan has in its place, if anything. A rate
    of the base has the place of the one that goes."""
    version = row.plan_version
    row.delete()
    if isinstance(row, Rate):
        inherited: Rate | Fee | None = _in_base(version, Rate, product_item=row.product_item, where=row.where)
    else:
        inherited = _in_base(version, Fee, key=row.key)
    if inherited is None:
        return None
    inherited.pk = None
    inherited.plan_version = version
    inherited.is_override = False
    if isinstance(row, Rate) and isinstance(inherited, Rate):
        inherited.position = row.position
    inherited.save(force_insert=True)
    return inherited


def _in_base(version: PlanVersion, kind: Any, **key: Any) -> Any:
    """The rate or fee that a private plan's base has for this, if it has one."""
    base = version.plan.base
    active = active_version(base) if base else None
    return kind.objects.filter(plan_version=active, **key).first() if active else None


def _refuse_inherited(row: Rate | Fee, field: str) -> None:
    plan = row.plan_version.plan
    if plan.is_private and not row.is_override:
        raise ValidationError({field: f"{row} is of {plan.base}: give it a price of 0 here instead."})


def _clean_where(meter: Meter, where: object) -> dict[str, list[str]]:
    """The filter with its texts in order, each once, so that the same filter is always the same value."""
    if not isinstance(where, Mapping):
        raise ValidationError({"where": "This names dimensions, each with a list of texts."})
    clean: dict[str, list[str]] = {}
    for name, texts in where.items():
        if name not in meter.dimensions:
            declared = ", ".join(meter.dimensions) or "none"
            raise ValidationError(
                {"where": f"{str(name)[:100]!r} is no dimension of {meter}, which declares {declared}."}
            )
        if not isinstance(texts, list | tuple) or not texts or len(texts) > MOST_TEXTS:
            raise ValidationError({"where": f"{name} has a list of 1 to {MOST_TEXTS:,} texts."})
        if not all(isinstance(text, str) and len(text) <= LONGEST_TEXT and "\0" not in text for text in texts):
            raise ValidationError({"where": f"The texts of {name} have at most {LONGEST_TEXT} characters."})
        clean[name] = sorted(set(texts))
    return clean


def _set_fee_figures(fee: Fee, amount: object, percent: object, quantity: object) -> None:
    """The figures that belong to a fee's kind. Raises ValidationError for missing ones and for those that do not."""
    is_percent = fee.kind == Fee.Kind.PERCENT
    wanted, given = ("percent", percent) if is_percent else ("amount", amount)
    other, too_much = ("amount", amount) if is_percent else ("percent", percent)
    if given is None:
        raise ValidationError({wanted: f"This fee needs {'a percentage' if is_percent else 'an amount'}."})
    if too_much is not None:
        raise ValidationError({other: f"A fee has an amount or a percentage; this one has {wanted}."})
    setattr(fee, wanted, number(given, wanted))
    if is_percent and not fee.percent:
        raise ValidationError({"percent": "This must be greater than 0."})
    fee.quantity = Decimal(1) if is_percent else number(quantity, "quantity")
    fee.unit = "" if is_percent else fee.unit
    fee.prorated = fee.prorated and fee.kind == Fee.Kind.RECURRING


def _check_terms(version: PlanVersion) -> None:
    check_row(version, but=["plan"], unique=False)
    try:
        minor_units(version.currency)
    except CurrencyError:
        raise ValidationError({"currency": "This is no currency of ISO 4217, such as EUR."}) from None
    if version.commitment is not None and version.minimum:
        raise ValidationError({"commitment": "A plan has a minimum or a commitment, not both."})
    if version.commitment == 0:
        raise ValidationError({"commitment": "This must be greater than 0; leave it empty for none."})


def _mark_own_terms(version: PlanVersion, changes: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Keeps in mind which terms are the customer's own: of each group that was said, those that differ. What is said
    as it was stays own: no trial is, also where the base plan has none yet."""
    active = active_version(version.plan.base) if version.plan.base else None
    if active is None:
        return
    if version.currency != active.currency and "currency" in changes:
        raise ValidationError({"currency": f"A private plan has the currency of {version.plan.base}."})
    own = set(version.overridden_terms)
    for group in TERM_GROUPS:
        if changes.keys() & set(group):
            differs = any(getattr(version, name) != getattr(active, name) for name in group)
            changed = any(getattr(version, name) != before[name] for name in changes.keys() & set(group))
            if differs:
                own |= set(group)
            elif changed:
                own -= set(group)
    version.overridden_terms = [name for name in PlanVersion.TERMS if name in own]
