"""A change of plan before it is done: what will happen, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django import forms

from invoices.plan_changes import Change
from invoices.pricing_of import priced_version
from invoices.subjects import trial_ends
from meters.periods import Period, local_date
from meters.words import last_day
from portal.plan.page import FeeRow, amounts_at_least, billed_words, fee_row
from portal.plan.prices import PriceRow, price_rows
from pricing.models import Assignment, Plan, PlanVersion
from pricing.money import format_quantity
from pricing.version_choice import version_for


class ConfirmChangeForm(forms.Form):
    """What was shown when it was confirmed: the first day on the new plan, and the number of its version."""

    day = forms.DateField()
    version = forms.IntegerField()


@dataclass(frozen=True, slots=True)
class ChangePage:
    """`kept` and `gone` are quantities that the customer has, `ending` the minimum that ends with the old plan."""

    old: Assignment
    plan: Plan
    version: PlanVersion
    day: date
    last_day: date
    first: Period
    is_stub: bool
    prices: Sequence[PriceRow]
    fees: Sequence[FeeRow]
    kept: Sequence[str]
    gone: Sequence[str]
    ending: Sequence[tuple[str, str]]
    trial: str
    currency_before: str

    @property
    def billed(self) -> str:
        return billed_words(self.version)

    @property
    def terms(self) -> list[tuple[str, str]]:
        return amounts_at_least(self.version)

    @property
    def is_other_currency(self) -> bool:
        return self.currency_before != self.version.currency


def change_page(change: Change, *, now: datetime) -> ChangePage:
    old, new = change.assignment, change.version
    before = version_for(old, now)
    currency = new.currency
    return ChangePage(
        old=old,
        plan=change.plan,
        version=new,
        day=change.day,
        last_day=last_day(change.before, old.zone),
        first=change.first,
        is_stub=change.is_stub,
        prices=price_rows(priced_version(new), with_pictures=False),
        fees=[fee_row(one, currency) for one in change.fees],
        kept=[
            f"{one.fee.name}: {format_quantity(one.quantity)} {one.fee.unit}".rstrip()
            for one in change.fees
            if one.is_own
        ],
        gone=[f"{one.fee.name}: {format_quantity(one.quantity)} {one.fee.unit}".rstrip() for one in change.gone],
        ending=amounts_at_least(before) if before else [],
        trial=_trial(change, now),
        currency_before=before.currency if before else currency,
    )


def _trial(change: Change, now: datetime) -> str:
    said = []
    ends = trial_ends([change.assignment])[change.assignment.pk]
    if local_date(ends, change.assignment.zone) > change.day:
        said.append(f"Your trial of {change.assignment.plan.public_name} ends with it.")
    if change.version.trial_days:
        name = change.plan.public_name
        said.append(f"The trial of {name} is for new customers, so you are charged from the first day.")
    return " ".join(said)
