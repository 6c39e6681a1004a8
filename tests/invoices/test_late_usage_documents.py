"""Late usage that no invoice to come makes up for: at once, ignored while it is little, and what void invoices mean."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from invoices import due, services
from invoices.late import rerating
from invoices.late.rerating import take_up
from invoices.models import Correction, CreditNote, Invoice
from invoices.policy_changes import set_billing_policy
from invoices.settling import voiding
from invoices.settling.credit_notes import issue_credit_note
from meters.models import Customer
from pricing.assignments import change_plan, end
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.books import audit, findings
from tests.invoices.late import at, corrections, policy, said, sums, unvoid, void, work_at
from tests.invoices.plans import ONE_EACH, plan_with, version_with
from tests.racing import race

OF_SEPTEMBER = "Calls, 1–30 Sep 2026 (2026-0001)"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(clock: time_machine.Traveller, db: None) -> Customer:
    """A customer at $1 a call from September on, with $40 and 10% of tax on its first invoice, which is final."""
    customer = make_customer("acme")
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
    put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 9, 1))
    clock.move_to(at(9, 20))
    send("acme", "Calls", 30, time=at(9, 10), id="first")
    send("acme", "Calls", 10, time=at(9, 11), id="second")
    work_at(clock, at(10, 3))
    clock.move_to(at(10, 5))
    return customer


def september(customer: Customer) -> Invoice:
    return customer.invoices.filter(is_correction=False).order_by("period_start")[0]


def at_once(customer: Customer) -> list[Invoice]:
    return list(customer.invoices.filter(is_correction=True).order_by("id"))


class TestAtOnce:
    @pytest.fixture(autouse=True)
    def _at_once(self, acme: Customer) -> None:
        policy(late_usage="at_once", payment_days=30)

    def test_more_usage_is_an_invoice_of_its_own(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        [made] = at_once(acme)
        assert said(made) == [
            ("correction", OF_SEPTEMBER, Decimal(5)),
            ("tax_corr", "VAT, 1–30 Sep 2026 (2026-0001)", Decimal("0.50")),
        ]
        assert (made.status, made.number, made.subtotal, made.total) == ("final", "2026-0002", 5, Decimal("5.50"))
        assert (made.period, made.due_on) == (september(acme).period, date(2026, 11, 4))
        assert (made.amount_due, made.payment_status) == (Decimal("5.50"), "unpaid")
        assert [event.kind for event in made.events.all()] == ["opened", "finalized"]
        assert [event.detail["by"] for event in september(acme).events.filter(kind="corrected")] == ["2026-0002"]
        assert corrections(live_invoice(acme)) == []

    def test_less_usage_is_a_credit_note(self, acme: Customer) -> None:
        void("second")
        run_sweep()
        note = CreditNote.objects.get()
        assert (note.invoice, note.subtotal, note.total) == (september(acme), 10, 11)
        assert [(line.name, line.amount, line.is_tax) for line in note.lines.all()] == [
            ("Calls", 10, False),
            ("VAT", 1, True),
        ]
        assert (september(acme).credited, september(acme).amount_due) == (11, 33)

    def test_happens_once(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        for _ in range(3):
            run_sweep()
            services.rerate(acme.pk)
        void("second")
        for _ in range(3):
            run_sweep()
            services.rerate(acme.pk)
        assert (len(at_once(acme)), CreditNote.objects.count()) == (1, 1)
        assert sums(acme) == {("USD", False): 35, ("USD", True): Decimal("3.5")}

    def test_what_comes_back_is_invoiced_again(self, acme: Customer) -> None:
        void("second")
        run_sweep()
        unvoid("second")
        run_sweep()
        [made] = at_once(acme)
        assert (made.total, sums(acme)) == (11, {("USD", False): 40, ("USD", True): 4})

    def test_one_that_is_void_is_made_again_while_its_usage_is_there(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30), id="late")
        run_sweep()
        voiding.void_invoice(at_once(acme)[0].pk, reason="wrong")
        run_sweep()
        assert [one.status for one in at_once(acme)] == ["void", "final"]
        assert sums(acme)["USD", False] == 45

    def test_usage_of_a_period_whose_invoice_is_credited_whole_is_not_credited_again(self, acme: Customer) -> None:
        """The credit note of staff sets off what was credited of the usage before."""
        void("second")
        run_sweep()
        issue_credit_note(september(acme).pk, reason="sorry")
        for _ in range(2):
            services.rerate(acme.pk)
            run_sweep()
        assert (september(acme).credited, september(acme).amount_due) == (44, 0)

    def test_what_comes_to_nothing_in_sum_waits(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        void("second")
        send("acme", "Calls", 5, time=at(9, 29))
        run_sweep()
        assert (at_once(acme), CreditNote.objects.count()) == ([], 0)


class TestIgnored:
    def test_little_waits_until_it_is_more(self, acme: Customer) -> None:
        policy(late_ignored_below=10)
        send("acme", "Calls", 9, time=at(9, 30), id="late")  # $9.90 with tax
        run_sweep()
        assert corrections(live_invoice(acme)) == []
        assert Correction.objects.count() == 2
        send("acme", "Calls", Decimal("0.1"), time=at(9, 30))
        run_sweep()
        assert [amount for _, amount in corrections(live_invoice(acme))] == [Decimal("9.10"), Decimal("0.91")]
        void("late")
        run_sweep()
        assert corrections(live_invoice(acme)) == []

    def test_either_way(self, acme: Customer) -> None:
        policy(late_ignored_below=10, late_usage="at_once")
        void("second")
        run_sweep()
        assert CreditNote.objects.get().total == 11

    def test_it_is_by_invoice(self, acme: Customer, clock: time_machine.Traveller) -> None:
        policy(late_ignored_below=10)
        work_at(clock, at(11, 3))
        clock.move_to(at(11, 5))
        send("acme", "Calls", 6, time=at(9, 30))
        send("acme", "Calls", 6, time=at(10, 30))
        run_sweep()
        assert corrections(live_invoice(acme)) == []
        policy(late_ignored_below=0)
        services.recalculate(live_invoice(acme).pk)
        assert [amount for _, amount in corrections(live_invoice(acme))] == [6, 6, Decimal("0.6"), Decimal("0.6")]

    def test_another_policy_counts_for_what_waits(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 6, time=at(9, 30))
        run_sweep()
        assert corrections(live_invoice(acme))
        set_billing_policy(changes={"late_ignored_below": 10}, now=timezone.now())
        run_sweep()
        assert corrections(live_invoice(acme)) == []
        assert due.late_customers(10) == []
        set_billing_policy(changes={"late_ignored_below": 0, "late_usage": "at_once"}, now=timezone.now())
        run_sweep()
        assert corrections(live_invoice(acme)) == []
        assert acme.invoices.get(is_correction=True).total == Decimal("6.6")


class TestNoInvoiceToCome:
    def test_of_a_plan_that_has_ended(self, acme: Customer, clock: time_machine.Traveller) -> None:
        end(acme.assignments.get(), ends_on=date(2026, 10, 10))
        work_at(clock, at(10, 20))
        assert not acme.invoices.filter(status__in=Invoice.LIVE).exists()
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        assert [one.total for one in at_once(acme)] == [Decimal("5.50")]
        void("second", "first")
        run_sweep()
        assert CreditNote.objects.get().total == 44

    def test_of_an_invoice_that_carried_it_and_will_never_be(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        assert live_invoice(acme).total == Decimal("5.50")
        end(acme.assignments.get(), ends_on=date(2026, 10, 1))
        run_sweep()
        assert [one.total for one in at_once(acme)] == [Decimal("5.50")]

    def test_in_its_currency(self, acme: Customer, clock: time_machine.Traveller) -> None:
        plan = acme.assignments.get().plan
        meter = plan.versions.get().rates.get().product_item.meter
        clock.move_to(at(10, 6))
        version_with(plan, {meter: ONE_EACH}, currency="EUR")
        work_at(clock, at(11, 3))
        clock.move_to(at(11, 5))
        assert live_invoice(acme).currency == "EUR"
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        [made] = at_once(acme)
        assert (made.currency, made.total) == ("USD", Decimal("5.50"))
        assert corrections(live_invoice(acme)) == []

    def test_another_plan_of_the_customer_carries_it(self, acme: Customer, clock: time_machine.Traveller) -> None:
        other = plan_with("Other", {make_meter("Other"): ONE_EACH})
        change_plan(acme.assignments.get(), plan=other, when=date(2026, 10, 6))
        work_at(clock, at(10, 20))
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        assert (at_once(acme), live_invoice(acme).plan_version.plan) == ([], other)
        assert live_invoice(acme).total == Decimal("5.50")


class TestVoidInvoices:
    def test_what_a_void_one_carried_is_carried_again(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        work_at(clock, at(11, 3))
        october = acme.invoices.get(period_start=at(10, 1, 0))
        assert october.total == Decimal("5.50")
        voiding.void_invoice(october.pk, reason="wrong")
        run_sweep()
        assert corrections(live_invoice(acme))[0] == (OF_SEPTEMBER, 5)
        assert sums(acme) == {("USD", False): 45, ("USD", True): Decimal("4.5")}

    def test_reissued_it_carries_the_same(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        work_at(clock, at(11, 3))
        new = voiding.reissue(acme.invoices.get(period_start=at(10, 1, 0)).pk, reason="wrong")
        run_sweep()
        new.refresh_from_db()
        assert (new.status, new.total, corrections(live_invoice(acme))) == ("final", Decimal("5.50"), [])

    def test_what_others_carry_for_it_is_taken_back(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        work_at(clock, at(11, 3))
        new = voiding.reissue(september(acme).pk, reason="wrong")
        run_sweep()
        new.refresh_from_db()
        assert [(kind, amount) for kind, _, amount in said(new)] == [
            ("usage", 45),
            ("tax", Decimal("4.5")),
            ("correction", -5),
            ("tax_corr", Decimal("-0.5")),
        ]
        assert sums(acme) == {("USD", False): 45, ("USD", True): Decimal("4.5")}
        void("second")
        run_sweep()
        assert corrections(live_invoice(acme)) == [
            (f"Calls, 1–30 Sep 2026 ({new.number})", -10),
            (f"VAT, 1–30 Sep 2026 ({new.number})", -1),
        ]

    def test_a_void_one_without_another_needs_no_correction(self, acme: Customer) -> None:
        voiding.void_invoice(september(acme).pk, reason="wrong")
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        assert (corrections(live_invoice(acme)), Correction.objects.count()) == ([], 0)

    def test_a_credit_note_of_staff_is_not_billed_again(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        work_at(clock, at(11, 3))
        october = acme.invoices.get(period_start=at(10, 1, 0))
        position = october.lines.get(kind="correction").position
        issue_credit_note(october.pk, reason="sorry", amounts={position: None})
        services.rerate(acme.pk)
        run_sweep()
        assert corrections(live_invoice(acme)) == []


class TestVoidWithNoInvoiceToCome:
    """September is void, and what others carry for it nobody else will take back."""

    @pytest.fixture(params=["next", "at_once"])
    def carrier(self, request: pytest.FixtureRequest, acme: Customer, clock: time_machine.Traveller) -> Invoice:
        """What has the 5.50 of late usage, of a plan that has ended: October, or an invoice of that alone."""
        policy(late_usage=request.param)
        send("acme", "Calls", 5, time=at(9, 30))
        send("acme", "Calls", 2, time=at(10, 2))
        run_sweep()
        end(acme.assignments.get(), ends_on=date(2026, 10, 10))
        work_at(clock, at(10, 20))
        assert not acme.invoices.filter(status__in=Invoice.LIVE).exists()
        return acme.invoices.get(lines__kind="correction")

    def test_a_credit_note_takes_it_back_once(self, acme: Customer, carrier: Invoice) -> None:
        voiding.void_invoice(september(acme).pk, reason="wrong")
        for _ in range(3):
            run_sweep()
            services.rerate(acme.pk)
        rerating.carry_anew()
        run_sweep()
        note = carrier.credit_notes.get()
        assert (note.subtotal, note.total, note.reason) == (5, Decimal("5.50"), "Invoice 2026-0001 is void.")
        assert [(line.name, line.amount, line.is_tax) for line in note.lines.all()] == [
            (OF_SEPTEMBER, 5, False),
            ("VAT, 1–30 Sep 2026 (2026-0001)", Decimal("0.50"), True),
        ]
        assert [line.invoice_line.invoice for line in note.lines.all()] == [carrier, carrier]
        # October's own calls are all that is owed.
        assert sums(acme) == {("USD", False): 2, ("USD", True): Decimal("0.2")}
        assert sum(one.amount_due for one in acme.invoices.all()) == Decimal("2.2")
        assert (findings(audit()), CreditNote.objects.count()) == ([], 2)

    def test_issued_anew_it_counts_all_usage(self, acme: Customer, carrier: Invoice) -> None:
        voiding.void_invoice(september(acme).pk, reason="wrong")
        run_sweep()
        new = voiding.reissue(september(acme).pk, reason="right")
        run_sweep()
        new.refresh_from_db()
        assert (new.status, [amount for _, _, amount in said(new)]) == ("final", [45, Decimal("4.5")])
        assert sums(acme) == {("USD", False): 47, ("USD", True): Decimal("4.7")}
        assert findings(audit()) == []

    def test_issued_anew_at_once_that_one_takes_it_back(self, acme: Customer, carrier: Invoice) -> None:
        new = voiding.reissue(september(acme).pk, reason="wrong")
        run_sweep()
        assert corrections(new) == [(OF_SEPTEMBER, -5), ("VAT, 1–30 Sep 2026 (2026-0001)", Decimal("-0.5"))]
        assert (carrier.credit_notes.count(), sums(acme)["USD", False]) == (0, 47)
        assert findings(audit()) == []

    def test_nothing_of_it_is_left_to_credit_or_to_take_back_again(self, acme: Customer, carrier: Invoice) -> None:
        voiding.void_invoice(september(acme).pk, reason="wrong")
        run_sweep()
        with pytest.raises(ValidationError, match="Nothing is left to credit"):
            issue_credit_note(carrier.pk, reason="sorry", amounts={carrier.lines.get(kind="correction").position: None})
        voiding.void_invoice(carrier.pk, reason="wrong")
        run_sweep()
        assert Invoice.objects.get(pk=carrier.pk).credited == carrier.total
        # Void, October has nothing either.
        left = {} if not carrier.is_correction else {("USD", False): 2, ("USD", True): Decimal("0.2")}
        assert sums(acme) == left
        assert findings(audit()) == []

    def test_also_where_staff_have_credited_it(self, acme: Customer, carrier: Invoice) -> None:
        """As the next invoice would."""
        position = carrier.lines.get(kind="correction").position
        issue_credit_note(carrier.pk, reason="sorry", amounts={position: Decimal(3)})
        voiding.void_invoice(september(acme).pk, reason="wrong")
        for _ in range(2):
            run_sweep()
            services.rerate(acme.pk)
        assert [note.total for note in carrier.credit_notes.order_by("id")] == [Decimal("3.3"), Decimal("5.5")]
        assert findings(audit()) == []

    def test_the_audit_misses_it(self, acme: Customer, carrier: Invoice) -> None:
        voiding.void_invoice(september(acme).pk, reason="wrong")
        Invoice.objects.filter(pk=september(acme).pk).update(rerated_version=0)  # nobody will look at it again
        run_sweep()
        of = "invoice 2026-0001 (1–30 Sep 2026)"
        assert findings(audit(checks=["corrections"])) == [
            ("corrections", f"No document makes up for the corrections of {of}", "-$5.50", "$0.00")
        ]
        rerating.carry_anew()
        run_sweep()
        assert findings(audit()) == []

    def test_what_was_carried_below_zero_is_invoiced(self, acme: Customer, clock: time_machine.Traveller) -> None:
        void("second")
        send("acme", "Calls", 50, time=at(10, 2))
        end(acme.assignments.get(), ends_on=date(2026, 10, 10))
        work_at(clock, at(10, 20))
        assert acme.invoices.get(lines__kind="correction").total == 44
        voiding.void_invoice(september(acme).pk, reason="wrong")
        for _ in range(2):
            run_sweep()
            services.rerate(acme.pk)
        [made] = at_once(acme)
        assert said(made) == [
            ("correction", OF_SEPTEMBER, Decimal(10)),
            ("tax_corr", "VAT, 1–30 Sep 2026 (2026-0001)", Decimal(1)),
        ]
        assert sums(acme) == {("USD", False): 50, ("USD", True): 5}
        assert findings(audit()) == []


class TestVoidThatManyCarry:
    def test_of_each_what_it_has(self, acme: Customer, clock: time_machine.Traveller) -> None:
        """October has 5.00 more of September, November 10.00 less of it and 7.00 more of another item."""
        calls = acme.assignments.get().plan.versions.get().rates.get().product_item.meter
        both = make_customer("both")
        put_on(both, plan_with("Both", {calls: ONE_EACH, make_meter("Storage", unit="GB"): ONE_EACH}), date(2026, 9, 1))
        send("both", "Calls", 10, time=at(9, 10), now=at(9, 10), id="own")
        work_at(clock, at(10, 3))
        send("both", "Calls", 5, time=at(9, 30))
        work_at(clock, at(11, 3))
        void("own", customer="both")
        send("both", "Storage", 7, time=at(9, 30))
        send("both", "Storage", 100, time=at(11, 4), now=at(11, 4))
        end(both.assignments.get(), ends_on=date(2026, 11, 10))
        work_at(clock, at(11, 20))
        first, second, third = both.invoices.order_by("period_start")
        assert [amount for _, amount in corrections(second)] == [5, Decimal("0.5")]
        assert [amount for _, amount in corrections(third)] == [-10, 7, Decimal("-0.3")]
        voiding.void_invoice(first.pk, reason="wrong")
        for _ in range(3):
            run_sweep()
            services.rerate(both.pk)
        assert sums(both) == {("USD", False): 100, ("USD", True): 10}
        # October's with its tax; November's, which is below zero, by an invoice.
        assert (second.credit_notes.get().total, third.credit_notes.count()) == (Decimal("5.5"), 0)
        [made] = at_once(both)
        assert [amount for _, amount in corrections(made)] == [10, -7, Decimal("0.3")]
        assert findings(audit()) == []

    def test_one_note_where_one_has_all_of_it(self, acme: Customer, clock: time_machine.Traveller) -> None:
        """October has 5.00 more of September, November 3.00 less."""
        send("acme", "Calls", 5, time=at(9, 30))
        send("acme", "Calls", 3, time=at(9, 9), id="third", now=at(10, 5))
        work_at(clock, at(11, 3))
        void("third")
        end(acme.assignments.get(), ends_on=date(2026, 11, 10))
        work_at(clock, at(11, 20))
        _, second, third = acme.invoices.order_by("period_start")
        assert [amount for _, amount in corrections(third)] == [-3, Decimal("-0.3")]
        voiding.void_invoice(september(acme).pk, reason="wrong")
        for _ in range(2):
            run_sweep()
        assert ([note.total for note in second.credit_notes.all()], at_once(acme)) == ([Decimal("5.5")], [])
        assert (sums(acme), findings(audit())) == ({}, [])


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def late(self, **fields: str) -> Customer:
        """A customer with a final invoice of two months ago, and usage that came after it."""
        customer = make_customer("acme")
        plan = plan_with("Basic", {make_meter("Calls"): ONE_EACH})
        put_on(customer, plan, date(2026, 9, 1))
        policy(**fields)
        return customer

    def test_many_workers_correct_once(self, clock: time_machine.Traveller) -> None:
        customer = self.late(late_usage="at_once")
        work_at(clock, at(10, 5))
        for number in range(3):
            send("acme", "Calls", 5, time=at(9, 30))
            assert race(*[lambda: services.rerate(customer.pk)] * 4) == []
            assert len(at_once(customer)) == number + 1
        assert sums(customer) == {("USD", False): 15}

    def test_closing_sending_and_rating_again_at_once_lose_nothing(self, clock: time_machine.Traveller) -> None:
        customer = self.late(late_usage="next")
        work_at(clock, at(10, 5))
        clock.move_to(at(11, 3))
        services.open_invoices(customer.assignments.get())
        october = customer.invoices.get(period_start=at(10, 1, 0))
        services.close(october.pk, now=at(11, 1))

        def send_some() -> None:
            for number in range(8):
                send("acme", "Calls", 1, time=at(9 + number % 2, 20))

        jobs = [lambda: services.rerate(customer.pk), lambda: services.close(october.pk), send_some]
        assert race(*jobs, *jobs, lambda: services.recalculate(october.pk)) == []
        for _ in range(2):
            run_sweep()
        assert sums(customer) == {("USD", False): 16}
        assert due.late_customers(10) == []
        numbers = list(customer.invoices.exclude(number="").order_by("number").values_list("number", flat=True))
        assert numbers == [f"2026-{number + 1:04}" for number in range(len(numbers))]

    def test_a_worker_that_dies_leaves_the_work_to_be_found(self, clock: time_machine.Traveller) -> None:
        customer = self.late(late_usage="next")
        work_at(clock, at(10, 5))
        send("acme", "Calls", 5, time=at(9, 30))
        take_up([customer.pk])  # and no more
        assert due.late_customers(10) == [customer.pk]
        run_sweep()
        assert (live_invoice(customer).total, due.late_customers(10)) == (5, [])
