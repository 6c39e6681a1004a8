"""Taxes: the rates there are, whom they are charged to, and what else an invoice says of its customer."""

from collections.abc import Collection, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch
from django.utils import timezone

from meters.models import Customer
from pricing.inputs import check_row, known, number, save_row
from pricing.models import BillingProfile, TaxRate

RATE_FIELDS = ("key", "name", "percent", "is_default")
# What is printed of it.
FIXED_ONCE_CHARGED = ("key", "name", "percent")
PROFILE_FIELDS = ("tax_rates", "tax_exempt", "tax_note", "tax_id", "legal_name", "address")
HIGHEST = 1000


def tax_rates_of(customer: Customer) -> list[TaxRate]:
    """What a customer's invoices are taxed with: its own rates, or else those that are for everybody, and none where
    it is exempt. Retired rates are no longer charged."""
    return tax_rates_of_all([customer.pk])[customer.pk]


def tax_rates_of_all(customers: Collection[int]) -> dict[int, list[TaxRate]]:
    """What `tax_rates_of` answers for each of these customers, by its id, in as many statements as for one."""
    rates = Prefetch("tax_rates", TaxRate.objects.filter(retired_at=None), to_attr="charged")
    profiles: dict[int, Any] = {
        profile.customer_id: profile
        for profile in BillingProfile.objects.filter(customer__in=customers).prefetch_related(rates)
    }
    found: dict[int, list[TaxRate]] = {
        customer: [] if profile.tax_exempt else profile.charged for customer, profile in profiles.items()
    }
    others = {one for one in customers if one not in profiles or not (profiles[one].tax_exempt or found[one])}
    for_everybody = list(TaxRate.objects.filter(is_default=True, retired_at=None)) if others else []
    return found | dict.fromkeys(others, for_everybody)


@transaction.atomic
def save_tax_rate(tax_rate: TaxRate | None = None, *, changes: Mapping[str, Any]) -> TaxRate:
    """Makes or changes a tax rate. Raises ValidationError by field, also for another key, name or percentage of one
    that a final invoice has: that one is retired, and another one made."""
    known(changes, RATE_FIELDS)
    tax_rate = tax_rate or TaxRate()
    if tax_rate.pk is not None:
        tax_rate = TaxRate.objects.select_for_update(no_key=True).get(pk=tax_rate.pk)
    before = {name: getattr(tax_rate, name) for name in FIXED_ONCE_CHARGED}
    for name, value in changes.items():
        setattr(tax_rate, name, number(value, name) if name == "percent" else value)
    check_row(tax_rate)
    if tax_rate.percent > HIGHEST:
        raise ValidationError({"percent": f"This is at most {HIGHEST}."})
    changed = [name for name in FIXED_ONCE_CHARGED if before[name] != getattr(tax_rate, name)]
    if changed and _is_charged(tax_rate):
        message = "A final invoice has it, so it stays. Retire this tax rate and make another one."
        raise ValidationError(dict.fromkeys(changed, message))
    save_row(tax_rate)
    return tax_rate


@transaction.atomic
def retire_tax_rate(tax_rate: TaxRate) -> TaxRate:
    """No invoice that is not final yet is taxed with it any longer. Raises ValidationError where it is retired."""
    tax_rate = TaxRate.objects.select_for_update(no_key=True).get(pk=tax_rate.pk)
    if tax_rate.retired_at is not None:
        raise ValidationError({"tax_rate": f"{tax_rate} is retired already."})
    tax_rate.retired_at = timezone.now()
    tax_rate.save(update_fields=["retired_at"])
    return tax_rate


@transaction.atomic
def set_billing_profile(customer: Customer, **changes: Any) -> BillingProfile:
    """Changes what a customer's invoices say and are taxed with; `tax_rates` are all of its own. Final invoices stay.

    Raises ValidationError by field.
    """
    known(changes, PROFILE_FIELDS)
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    profile = BillingProfile.objects.filter(customer=customer).first() or BillingProfile(customer=customer)
    for name, value in changes.items():
        if name != "tax_rates":
            # Browsers send the ends of lines as two characters.
            setattr(profile, name, value.replace("\r\n", "\n") if name == "address" and value else value)
    check_row(profile, but=["customer"])
    has = set(profile.tax_rates.all()) if not profile._state.adding else set()
    wanted = list(changes["tax_rates"]) if "tax_rates" in changes else list(has)
    if retired := [rate for rate in wanted if rate.retired_at is not None and rate not in has]:
        raise ValidationError({"tax_rates": f"{retired[0]} is retired."})
    profile.save()
    if "tax_rates" in changes:
        profile.tax_rates.set(wanted)
    return profile


def _is_charged(tax_rate: TaxRate) -> bool:
    """Whether a final invoice has it. The lines are those of the app above, found by the name they give themselves."""
    return bool(tax_rate.pk) and tax_rate.invoice_lines.filter(invoice__status="final").exists()
