"""Bills of more than usage: fees, quantities, trials, minimums, commitments and taxes, over whole periods and parts."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices import due
from invoices.lines.explained import sentences_of
from invoices.models import Invoice
from meters.models import Customer, Meter
from pricing.assignments import change_plan, end, set_quantity
from pricing.models import Assignment, TaxRate
from pricing.taxes import retire_tax_rate, save_tax_rate, set_billing_profile
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import MONTH_END, NOW
from tests.invoices.plans import FREE, ONE_EACH, fee, plan_with, version_with

pytestmark = pytest.mark.usefixtures("november")
FIRST = date(2026, 11, 1)


@pytest.fixture
def customer(db: None) -> Customer:
    return make_customer("acme")


@pytest.fixture
def calls(db: None) -> Meter:
    return make_meter()


def lines(invoice: Invoice) -> list[tuple[str, str, str]]:
    return [(line.kind, line.name, f"{line.amount:f}") for line in invoice.lines.all()]


def invoice_of(assignment: Assignment, starts_on: date) -> Invoice:
    return assignment.invoices.exclude(status="void").get(
        period_start=datetime.combine(starts_on, datetime.min.time(), UTC)
    )


class TestFees:
    def test_stand_behind_usage_in_their_order(self, customer: Customer, calls: Meter) -> None:
        plan = plan_with(
            "Full",
            {calls: ONE_EACH},
            fee("support", kind="percent", percent="10"),
            fee("setup", "25", kind="one_time"),
            fee("seats", "12", quantity=3, unit="seats"),
        )
        put_on(customer, plan, FIRST)
        send("acme", "ApiCalls", 100, time=NOW)
        run_sweep()
        invoice = live_invoice(customer)
        assert lines(invoice) == [
            ("usage", "ApiCalls", "100.00"),
            ("fee", "Seats", "36.00"),
            ("fee", "Setup", "25.00"),
            ("fee", "Support", "16.10"),
        ]
        assert (invoice.subtotal, invoice.total) == (Decimal("177.10"), Decimal("177.10"))
        assert [line.fee_key for line in invoice.lines.all()] == ["", "seats", "setup", "support"]

    def test_one_time_is_of_the_first_period_only(self, customer: Customer, calls: Meter) -> None:
        assignment = put_on(customer, plan_with("Setup", {calls: FREE}, fee("setup", "25", kind="one_time")), FIRST)
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            run_sweep()
        totals = assignment.invoices.order_by("period_start").values_list("total", flat=True)
        assert list(totals) == [25, 0]

    def test_one_time_of_a_later_version_is_not_for_those_who_were_there(
        self, customer: Customer, calls: Meter
    ) -> None:
        plan = plan_with("Later", {calls: FREE})
        there = put_on(customer, plan, FIRST)
        version_with(plan, {}, fee("setup", "25", kind="one_time"))
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            newcomer = put_on(make_customer("globex"), plan, date(2026, 12, 1))
            run_sweep()
            assert (there.invoices.get(period_start=MONTH_END).total, newcomer.invoices.get().total) == (0, 25)

    def test_of_a_part_of_a_period_are_prorated_unless_they_say_otherwise(
        self, customer: Customer, calls: Meter
    ) -> None:
        plan = plan_with("Parts", {calls: FREE}, fee("base", "30"), fee("whole", "7", prorated=False))
        assignment = put_on(customer, plan, NOW.date())  # 9 of 30 days
        assert lines(live_invoice(customer)) == [
            ("usage", "ApiCalls", "0.00"),
            ("fee", "Base", "9.00"),
            ("fee", "Whole", "7.00"),
        ]
        end(assignment, ends_on=date(2026, 11, 23))
        assert live_invoice(customer).total == 8

    def test_parts_of_a_month_add_up_across_a_change_of_plan(self, customer: Customer, calls: Meter) -> None:
        old = plan_with("Old", {calls: FREE}, fee("base", "100"))
        new = plan_with("New", {calls: FREE}, fee("base", "100"))
        change_plan(put_on(customer, old, FIRST), plan=new, when=date(2026, 11, 12))
        run_sweep()
        assert [invoice.total for invoice in customer.invoices.order_by("period_start")] == [
            Decimal("36.67"),
            Decimal("63.33"),
        ]

    def test_quantities_count_from_their_day(self, customer: Customer, calls: Meter) -> None:
        plan = plan_with("Seats", {calls: FREE}, fee("seats", "30", quantity=2), fee("flat", "1", prorated=False))
        assignment = put_on(customer, plan, FIRST)
        set_quantity(assignment, fee_key="seats", quantity=5, starts_on=date(2026, 11, 21))
        set_quantity(assignment, fee_key="flat", quantity=9, starts_on=date(2026, 11, 21))
        assert due.stale_invoices(10) == [live_invoice(customer).pk]
        run_sweep()
        seats = live_invoice(customer).lines.get(fee_key="seats")
        assert (seats.amount, seats.quantity) == (20 * 2 + 10 * 5, 5)
        assert live_invoice(customer).lines.get(fee_key="flat").amount == 1  # of its first day
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            run_sweep()
            assert invoice_of(assignment, date(2026, 12, 1)).total == 150 + 9

    def test_quantities_count_from_no_day_that_is_on_a_final_invoice(self, customer: Customer, calls: Meter) -> None:
        assignment = put_on(customer, plan_with("Seats", {calls: FREE}, fee("seats", "30")), FIRST)
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            run_sweep()  # in grace
            set_quantity(assignment, fee_key="seats", quantity=2, starts_on=FIRST)
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
            assert invoice_of(assignment, FIRST).total == 60
            with pytest.raises(ValidationError, match="2026-0001, up to 1 Dec 2026, is final") as error:
                set_quantity(assignment, fee_key="seats", quantity=3, starts_on=date(2026, 11, 30))
            assert list(error.value.message_dict) == ["starts_on"]
            # Said again, what counts already is no change.
            set_quantity(assignment, fee_key="seats", quantity=2, starts_on=FIRST)
            set_quantity(assignment, fee_key="seats", quantity=3, starts_on=date(2026, 12, 1))
            run_sweep()
            assert invoice_of(assignment, date(2026, 12, 1)).total == 90
        assert assignment.quantities.count() == 2


class TestTrials:
    @pytest.fixture
    def tried(self, customer: Customer, calls: Meter) -> Assignment:
        plan = plan_with(
            "Trial",
            {calls: {"model": "per_unit", "unit_price": "1", "included_units": "10"}},
            fee("base", "30"),
            fee("setup", "5", kind="one_time"),
            trial_days=14,
            minimum=60,
        )
        return put_on(customer, plan, date(2026, 11, 10))

    def test_usage_in_it_is_listed_and_free(self, tried: Assignment, customer: Customer) -> None:
        """The trial ends at midnight before the 24th: seven days are charged."""
        for day, amount in ((10, 100), (23, 200), (24, 60), (30, 7)):
            send("acme", "ApiCalls", amount, time=datetime(2026, 11, day, 12, tzinfo=UTC), now=MONTH_END)
        send("acme", "ApiCalls", 3, time=datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC), now=MONTH_END)
        run_sweep()
        invoice = live_invoice(customer)
        assert lines(invoice) == [
            ("usage", "ApiCalls", "57.00"),
            ("trial", "ApiCalls", "0.00"),
            ("fee", "Base", "7.00"),
            ("fee", "Setup", "5.00"),
        ]
        assert [line.quantity for line in invoice.lines.filter(product_item__isnull=False)] == [67, 303]

    def test_minimum_is_of_the_days_after_it(self, tried: Assignment, customer: Customer) -> None:
        assert lines(live_invoice(customer)) == [
            ("usage", "ApiCalls", "0.00"),
            ("fee", "Base", "7.00"),
            ("fee", "Setup", "5.00"),
            ("true_up", "Minimum", "2.00"),
        ]
        assert live_invoice(customer).total == 14  # 7 of 30 days of 60

    def test_a_period_within_it_owes_nothing_and_the_next_has_what_is_due_once(
        self, customer: Customer, calls: Meter
    ) -> None:
        plan = plan_with(
            "Long",
            {calls: ONE_EACH},
            fee("base", "31"),
            fee("setup", "5", kind="one_time"),
            fee("support", kind="percent", percent="10"),
            trial_days=30,
            minimum=10,
        )
        assignment = put_on(customer, plan, date(2026, 11, 2))
        send("acme", "ApiCalls", 50, time=NOW)
        run_sweep()
        assert lines(live_invoice(customer)) == [("trial", "ApiCalls", "0.00")]
        assert "trial" in sentences_of(live_invoice(customer).lines.get())[0]
        with time_machine.travel(datetime(2026, 12, 5, tzinfo=UTC), tick=False):
            run_sweep()
            december = invoice_of(assignment, date(2026, 12, 1))
            # The trial ends on the 2nd: 30 of 31 days.
            assert [line[1:] for line in lines(december)] == [
                ("ApiCalls", "0.00"),
                ("Base", "30.00"),
                ("Setup", "5.00"),
                ("Support", "3.50"),
            ]

    def test_is_the_one_that_counted_when_the_customer_began(self, tried: Assignment, customer: Customer) -> None:
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            version_with(tried.plan, {}, trial_days=365)
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            run_sweep()
            assert invoice_of(tried, date(2026, 12, 1)).total == 60

    def test_without_usage_in_it_has_no_line(self, tried: Assignment, customer: Customer) -> None:
        assert not live_invoice(customer).lines.filter(kind="trial").exists()

    def test_different_values_are_counted_once_in_it_and_once_after(self, customer: Customer) -> None:
        users = make_meter("Users", aggregation="unique_count", unique_dimension="user", dimensions=["region"])
        plan = plan_with("Unique", {users: [({"region": ["eu"]}, ONE_EACH), ({}, ONE_EACH)]}, trial_days=10)
        put_on(customer, plan, FIRST)
        for day, user, region in ((1, "a", "eu"), (2, "a", "us"), (10, "b", "eu"), (11, "a", "us"), (12, "b", "us")):
            time = datetime(2026, 11, day, 12, tzinfo=UTC)
            send("acme", "Users", time=time, user=user, region=region)
        run_sweep()
        quantities = [(line.kind, line.quantity) for line in live_invoice(customer).lines.all()]
        assert quantities == [("usage", 0), ("usage", 2), ("trial", 2)]


class TestMinimumsAndCommitments:
    @pytest.mark.parametrize(
        ("terms", "used", "expected"),
        [
            ({"minimum": 100}, 40, [("usage", "40.00"), ("true_up", "60.00")]),
            ({"minimum": 100}, 100, [("usage", "100.00")]),
            ({"commitment": 100, "overage_factor": "1.25"}, 40, [("usage", "40.00"), ("true_up", "60.00")]),
            ({"commitment": 100, "overage_factor": "1.25"}, 300, [("usage", "300.00"), ("overage", "50.00")]),
            ({"commitment": 100, "overage_factor": "0.5"}, 300, [("usage", "300.00"), ("overage", "-100.00")]),
            ({"commitment": 100}, 300, [("usage", "300.00")]),
        ],
        ids=str,
    )
    def test_of_a_whole_period(
        self, customer: Customer, calls: Meter, terms: dict[str, object], used: int, expected: list[tuple[str, str]]
    ) -> None:
        put_on(customer, plan_with("Committed", {calls: ONE_EACH}, **terms), FIRST)
        send("acme", "ApiCalls", used)
        run_sweep()
        assert [(kind, amount) for kind, _, amount in lines(live_invoice(customer))] == expected
        assert live_invoice(customer).total == sum(Decimal(amount) for _, amount in expected)

    def test_included_units_shrink_only_where_the_rate_says_so(self, customer: Customer, calls: Meter) -> None:
        rate = {"model": "per_unit", "unit_price": "1", "included_units": "300"}
        for key, prorated, owed in (("Whole", False, 0), ("Shrunk", True, 100 - 90)):
            other = make_customer(key)
            put_on(other, plan_with(key, {calls: rate}, prorated=prorated), NOW.date())  # 9 of 30 days
            send(key, "ApiCalls", 100)
            run_sweep()
            assert live_invoice(other).total == owed


class TestTaxes:
    @pytest.fixture
    def vat(self, db: None) -> TaxRate:
        return save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})

    @pytest.fixture
    def owing(self, customer: Customer, calls: Meter) -> Customer:
        put_on(customer, plan_with("Taxed", {calls: ONE_EACH}), FIRST)
        send("acme", "ApiCalls", "10.05")
        run_sweep()
        return customer

    def test_stand_below_the_subtotal_and_do_not_stack(self, vat: TaxRate, owing: Customer) -> None:
        save_tax_rate(changes={"key": "city", "name": "City", "percent": "1", "is_default": True})
        run_sweep()
        invoice = live_invoice(owing)
        assert lines(invoice) == [("usage", "ApiCalls", "10.05"), ("tax", "City", "0.10"), ("tax", "VAT", "1.91")]
        assert (invoice.subtotal, invoice.total) == (Decimal("10.05"), Decimal("12.06"))
        assert invoice.lines.get(name="VAT").tax_rate == vat

    def test_a_customers_own_are_in_place_of_those_for_everybody(self, vat: TaxRate, owing: Customer) -> None:
        gst = save_tax_rate(changes={"key": "gst", "name": "GST", "percent": "10"})
        assert due.stale_invoices(10) == []
        set_billing_profile(owing, tax_rates=[gst])
        run_sweep()
        assert [line[1] for line in lines(live_invoice(owing))] == ["ApiCalls", "GST"]
        retire_tax_rate(gst)
        run_sweep()
        assert [line[1] for line in lines(live_invoice(owing))] == ["ApiCalls", "VAT"]

    def test_the_exempt_pay_none_and_the_final_invoice_says_why(self, vat: TaxRate, owing: Customer) -> None:
        set_billing_profile(
            owing,
            tax_exempt=True,
            tax_note="Reverse charge",
            tax_id="DE123",
            legal_name="Acme GmbH",
            address="1 Main Street",
        )
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
        invoice = owing.invoices.get(status="final")
        assert invoice.total == Decimal("10.05")
        assert (invoice.customer_name, invoice.customer_address) == ("Acme GmbH", "1 Main Street")
        assert (invoice.customer_tax_id, invoice.tax_note) == ("DE123", "Reverse charge")
        set_billing_profile(owing, tax_exempt=False, legal_name="Acme Inc.")
        run_sweep()
        invoice.refresh_from_db()
        assert (invoice.total, invoice.customer_name) == (Decimal("10.05"), "Acme GmbH")
