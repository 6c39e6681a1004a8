"""A customer gets prices of its own, while the plan that they are made of moves on."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine

from invoices.models import Invoice
from meters.models import Customer, Meter
from meters.partitions import ensure_accepted_span
from pricing.assignments import change_plan, set_quantity
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_fee, set_rate
from pricing.private_plans import make_private
from tests.factories import make_customer, make_meter, put_on, run_sweep, send

pytestmark = pytest.mark.django_db


def per_call(price: str) -> dict[str, str]:
    return {"model": "per_unit", "unit_price": price}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel("2026-01-01T12:00:00Z", tick=True) as traveller:
        yield traveller


def on(clock: time_machine.Traveller, day: str) -> None:
    """Noon of that day; whatever was due until then is done."""
    clock.move_to(datetime.fromisoformat(f"{day}T12:00:00+00:00"))
    ensure_accepted_span(datetime.now(UTC))
    run_sweep()


def use(customer: Customer, meter: Meter) -> None:
    send(customer.key, meter.key, 1000, time=datetime.now(UTC))


def test_prices_of_ones_own(clock: time_machine.Traveller) -> None:
    on(clock, "2026-01-01")
    calls = make_meter()
    basic = Plan.objects.create(key="Basic")
    draft = draft_version(basic)
    set_rate(draft, product_item=calls.product_item, parameters=per_call("0.01"))
    set_fee(draft, key="seats", name="Seats", amount="10", quantity=3, unit="seats")
    set_fee(draft, key="setup", name="Setup", kind="one_time", amount="99")
    activate(basic)
    acme, other = make_customer("acme"), make_customer("other")
    assignment = put_on(acme, basic, date(2026, 1, 1))
    put_on(other, basic, date(2026, 1, 1))
    use(acme, calls)
    use(other, calls)

    on(clock, "2026-02-10")
    # Two more seats for the second half of February, and calls for half the price from March on.
    set_quantity(assignment, fee_key="seats", quantity=5, starts_on=date(2026, 2, 15))
    private = make_private(basic, customer=acme)
    draft = draft_version(private)
    set_rate(draft, product_item=calls.product_item, parameters=per_call("0.005"))
    activate(private)
    private.refresh_from_db()
    change_plan(assignment, plan=private, when="period_end")
    use(acme, calls)
    use(other, calls)

    on(clock, "2026-03-05")
    # Everybody's calls and seats become dearer with April; acme's calls do not.
    draft = draft_version(basic)
    set_rate(draft, product_item=calls.product_item, parameters=per_call("0.02"))
    set_fee(draft, key="seats", name="Seats", amount="12", quantity=3, unit="seats")
    activate(basic)
    use(acme, calls)
    use(other, calls)

    on(clock, "2026-04-05")
    use(acme, calls)
    use(other, calls)
    on(clock, "2026-05-03")

    def totals(customer: Customer) -> list[Decimal]:
        final = Invoice.objects.filter(customer=customer, status=Invoice.Status.FINAL)
        return list(final.order_by("period_start").values_list("total", flat=True))

    assert totals(other) == [10 + 30 + 99, 10 + 30, 10 + 30, 20 + 36]
    assert totals(acme) == [
        10 + 30 + 99,
        10 + (3 * 10 + 5 * 10) / 2,  # 14 days with three seats, 14 with five
        5 + 5 * 10,  # no setup a second time
        5 + 5 * 12,
    ]
    versions = (
        Invoice.objects.filter(customer=acme).order_by("period_start").values_list("plan_version__number", flat=True)
    )
    assert list(versions) == [1, 1, 1, 2, 2]
