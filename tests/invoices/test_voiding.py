"""Void, and issued anew: what is taken back, what stays, and that the new one is what a fresh computation gives."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from invoices import due, signals
from invoices.adjustments import subject_of
from invoices.computing import compute
from invoices.models import CreditGrant, CreditNote, Invoice, InvoiceEvent, NumberSeries
from invoices.prepaid.balances import balances_of, previews_of
from invoices.prepaid.credits import expire_grants, void_grant
from invoices.services import close, open_invoices
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund
from invoices.settling.voiding import preview_void, reissue, void_invoice
from pricing.assignments import change_plan, end
from pricing.models import ProductItem
from tests.factories import make_customer, put_on, send
from tests.invoices.late import void as void_usage
from tests.invoices.plans import fee, plan_with
from tests.invoices.prepaid import check_ledger, prepaid
from tests.invoices.settled import (
    DECEMBER,
    MID_NOVEMBER,
    finalize,
    fresh,
    lines_of,
    make_bill,
    make_plan_of_two,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("november")]


@pytest.fixture
def bill(november: None, db: None) -> Invoice:
    return make_bill()


def void(bill: Invoice, **fields) -> Invoice:
    return void_invoice(bill.pk, **{"reason": "Wrong customer", "actor": "ben", "now": DECEMBER, **fields})


def again(bill: Invoice, **fields) -> Invoice:
    return reissue(bill.pk, **{"reason": "Wrong usage", "actor": "ben", "now": DECEMBER, **fields})


class TestCreditsThatHaveExpiredSince:
    LATER = DECEMBER + timedelta(days=30)

    def bill(self, **of_pack) -> Invoice:
        """November's bill of 103.50, and a pack of 25.00 that expires in December."""
        customer = make_customer("acme")
        put_on(customer, make_plan_of_two(), date(2026, 11, 1))
        send("acme", "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER, id="calls")
        send("acme", "Storage", 7, time=MID_NOVEMBER, now=MID_NOVEMBER)
        if "product_items" in of_pack:
            of_pack["product_items"] = ProductItem.objects.filter(meter__key__in=of_pack["product_items"])
        prepaid(customer, 25, name="Pack", priority=7, expires_at=DECEMBER + timedelta(days=5), **of_pack)
        return finalize(customer)

    @pytest.fixture
    def paid(self, november: None, db: None) -> Invoice:
        return self.bill()

    def test_they_pay_what_takes_its_place(self, paid: Invoice) -> None:
        assert paid.credits_applied == 25
        new = again(paid, now=self.LATER)
        old, granted = CreditGrant.objects.order_by("id")
        assert [(one.kind, one.amount) for one in old.entries.all()][-2:] == [("returned", 25), ("expired", -25)]
        assert (granted.name, granted.amount, granted.priority, granted.price_paid) == ("Pack", 25, 7, 0)
        assert previews_of([new.customer_id], self.LATER + timedelta(days=1))[new.pk].amount == 25
        # However late it becomes final.
        late = self.LATER + timedelta(days=3)
        assert expire_grants(new.customer_id, now=late) == 0
        new = close(new.pk, now=late)
        assert (new.status, fresh(new).credits_applied, fresh(paid).credits_applied) == ("final", 25, 0)
        check_ledger()
        # And once more.
        last = close(again(new, now=late + timedelta(days=1)).pk, now=late + timedelta(days=2))
        assert fresh(last).credits_applied == 25
        check_ledger()

    def test_what_that_leaves_expires(self, paid: Invoice) -> None:
        void_usage("calls")
        new = close(again(paid, now=self.LATER).pk, now=self.LATER)
        total = fresh(new).total
        assert 0 < total < 25
        assert expire_grants(new.customer_id, now=self.LATER + timedelta(minutes=1)) == 1
        assert (fresh(new).credits_applied, balances_of(new.customer, self.LATER + timedelta(minutes=1))) == (total, [])
        check_ledger()

    def test_those_for_some_product_items_stay_so(self, november: None) -> None:
        bill = self.bill(product_items=["Storage"])
        assert bill.credits_applied == Decimal("3.5")
        new = close(again(bill, now=self.LATER).pk, now=self.LATER)
        assert fresh(new).credits_applied == Decimal("3.5")
        granted = CreditGrant.objects.latest("id")
        assert (granted.amount, [item.meter.key for item in granted.product_items.all()]) == (
            Decimal("3.5"),
            ["Storage"],
        )

    def test_also_where_it_was_void_before(self, paid: Invoice) -> None:
        void(paid, now=self.LATER)
        assert CreditGrant.objects.count() == 1
        new = again(paid, now=self.LATER + timedelta(days=1))
        assert fresh(close(new.pk, now=self.LATER + timedelta(days=1))).credits_applied == 25
        check_ledger()

    def test_those_that_are_good_are_given_back_once(self, paid: Invoice) -> None:
        new = again(paid)
        assert (CreditGrant.objects.count(), fresh(close(new.pk, now=DECEMBER)).credits_applied) == (1, 25)
        check_ledger()

    def test_not_what_staff_have_voided(self, paid: Invoice) -> None:
        void_grant(CreditGrant.objects.get(), now=DECEMBER)
        again(paid, now=self.LATER)
        assert CreditGrant.objects.count() == 1


class TestVoid:
    def test_a_credit_note_of_all_of_it(self, bill: Invoice) -> None:
        assert preview_void(bill).total == bill.total
        void(bill)
        bill = fresh(bill)
        note = CreditNote.objects.get()
        assert (bill.status, bill.voided_at, bill.number) == ("void", DECEMBER, "2026-0001")
        assert (note.total, note.reason, note.actor) == (bill.total, "Wrong customer", "ben")
        assert (bill.credited, bill.amount_due) == (bill.total, 0)
        events = InvoiceEvent.objects.filter(invoice=bill, kind__in=["voided", "credit note"]).order_by("id")
        assert [(event.kind, event.actor) for event in events] == [("voided", "ben"), ("credit note", "ben")]
        assert events[0].detail == {"reason": "Wrong customer"}

    def test_it_does_not_look_paid(self, bill: Invoice) -> None:
        void(bill)
        assert fresh(bill).payment_status == Invoice.PaymentStatus.UNPAID
        assert not InvoiceEvent.objects.filter(invoice=bill, kind="payment status").exists()

    def test_what_was_credited_before_is_not_credited_again(self, bill: Invoice) -> None:
        issue_credit_note(bill.pk, reason="So", amounts={1: Decimal("33.33")}, now=DECEMBER)
        void(bill)
        first, last = CreditNote.objects.order_by("id")
        assert first.total + last.total == bill.total
        assert lines_of(last)[0] == ("ApiCalls", Decimal("66.67"))

    def test_one_that_is_all_credited_needs_no_other_note(self, bill: Invoice) -> None:
        issue_credit_note(bill.pk, reason="So", now=DECEMBER)
        assert preview_void(fresh(bill)).lines == []
        void(bill)
        assert CreditNote.objects.count() == 1

    def test_one_of_nothing_has_no_note(self) -> None:
        put_on(made := make_customer("idle"), make_plan_of_two(), date(2026, 11, 1))
        idle = void(finalize(made))
        assert (idle.status, CreditNote.objects.count()) == ("void", 0)

    def test_payments_stay_and_are_owed_back(self, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal("50"), reference="TX", actor="bank", now=DECEMBER)
        void(bill)
        bill = fresh(bill)
        assert (bill.paid, bill.amount_due) == (50, -50)
        refund(bill.pk, amount=Decimal("50"), actor="ben", now=DECEMBER)
        assert (fresh(bill).paid, fresh(bill).amount_due) == (0, 0)
        # One that was on its way is recorded too.
        record_payment(bill.pk, amount=Decimal("60.85"), reference="TX 2", actor="bank", now=DECEMBER)
        assert fresh(bill).amount_due == Decimal("-60.85")

    def test_its_receivers_are_told(self, bill: Invoice) -> None:
        told = []

        def tell(invoice: Invoice, now: datetime, reason: str, **_: object) -> None:
            told.append((invoice.pk, invoice.status, CreditNote.objects.count(), now, reason))

        signals.voided.connect(tell)
        try:
            void(bill)
        finally:
            signals.voided.disconnect(tell)
        assert told == [(bill.pk, "void", 1, DECEMBER, "Wrong customer")]

    def test_a_receiver_that_raises_undoes_it_all(self, bill: Invoice) -> None:
        def fail(**_: object) -> None:
            raise RuntimeError("no")

        signals.voided.connect(fail)
        try:
            with pytest.raises(RuntimeError), transaction.atomic():
                void(bill)
        finally:
            signals.voided.disconnect(fail)
        assert fresh(bill).status == "final"
        assert not CreditNote.objects.exists()
        assert not NumberSeries.objects.filter(series="credit_note").exists()

    def test_twice_is_refused_and_so_are_live_ones(self, bill: Invoice) -> None:
        void(bill)
        with pytest.raises(ValidationError, match="is void"):
            void(bill)
        put_on(other := make_customer("other"), bill.assignment.plan, date(2026, 11, 1))
        with pytest.raises(ValidationError, match="Only a final invoice"):
            void(Invoice.objects.filter(customer=other)[0])
        with pytest.raises(Invoice.DoesNotExist):
            void_invoice(0, reason="So")

    @pytest.mark.parametrize("reason", ["", " ", "x" * 501])
    def test_it_has_a_reason(self, bill: Invoice, reason: str) -> None:
        for call in (void, again):
            with pytest.raises(ValidationError) as raised:
                call(bill, reason=reason)
            assert list(raised.value.message_dict) == ["reason"]

    def test_its_period_stays_without_an_invoice(self, bill: Invoice) -> None:
        void(bill)
        opened = open_invoices(bill.assignment, now=DECEMBER)
        assert [invoice.period_start for invoice in opened] == [datetime(2026, 12, 1, tzinfo=UTC)]

    def test_the_last_one_of_an_assignment_leaves_the_sweep_nothing_to_do(self, bill: Invoice) -> None:
        end(bill.assignment, ends_on=date(2026, 12, 1))
        void(bill)
        assert due.uncovered_assignments(DECEMBER, 10) == []

    def test_what_it_took_of_a_cap_is_for_others(self, bill: Invoice) -> None:
        [live] = open_invoices(bill.assignment, now=DECEMBER)
        Invoice.objects.filter(pk=live.pk).update(is_stale=False)
        void(bill)
        assert fresh(live).is_stale


class TestWithCredits:
    @pytest.fixture
    def bill(self, november: None, db: None) -> Invoice:
        """Of 103.50, of which prepaid credits have paid 60."""
        put_on(made := make_customer("prepaid"), make_plan_of_two(), date(2026, 11, 1))
        send("prepaid", "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER)
        send("prepaid", "Storage", 7, time=MID_NOVEMBER, now=MID_NOVEMBER)
        prepaid(made, "60")
        made_final = finalize(made)
        assert (made_final.credits_applied, made_final.payment_status) == (60, Invoice.PaymentStatus.PARTLY)
        return made_final

    def test_void_gives_back_what_it_drew(self, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal("43.50"), actor="bank", now=DECEMBER)
        void(bill)
        bill = fresh(bill)
        assert (bill.credits_applied, bill.credited, bill.amount_due) == (0, bill.total, Decimal("-43.50"))
        check_ledger()

    def test_another_one_draws_them_again(self, bill: Invoice) -> None:
        new = close(again(bill).pk, now=DECEMBER)
        assert (fresh(new).credits_applied, fresh(new).amount_due) == (60, Decimal("43.50"))
        assert fresh(bill).credits_applied == 0
        check_ledger()

    def test_a_credit_note_gives_back_what_is_beyond_the_rest(self, bill: Invoice) -> None:
        issue_credit_note(bill.pk, reason="So", amounts={1: Decimal("50")}, now=DECEMBER)
        bill = fresh(bill)
        assert (bill.credits_applied, bill.amount_due) == (Decimal("53.50"), 0)
        assert bill.payment_status == Invoice.PaymentStatus.PAID
        check_ledger()


class TestReissue:
    def test_it_equals_what_a_fresh_computation_gives(self, bill: Invoice) -> None:
        send("acme", "ApiCalls", 11, time=MID_NOVEMBER, now=DECEMBER)
        new = again(bill)
        [computed] = compute([subject_of(new)], now=DECEMBER)
        assert (new.subtotal, new.total) == (computed.draft.subtotal, computed.draft.total)
        stored = [(line.kind, line.name, line.amount) for line in new.lines.order_by("position")]
        assert stored == [(line.kind, line.name, line.amount) for line in computed.draft.lines]
        # 111 calls and 7 GB, less a tenth, and 19%
        assert new.total == Decimal("122.63")
        assert (new.replaces, new.status, new.closes_at, new.number) == (bill, "grace", DECEMBER, "")
        assert (new.period, new.plan_version, new.time_zone) == (bill.period, bill.plan_version, bill.time_zone)
        assert fresh(bill).status == "void"

    def test_it_takes_the_next_number(self, bill: Invoice) -> None:
        new = again(bill)
        assert due.due_invoices(DECEMBER, 10) == [new.pk]
        closed = close(new.pk, now=DECEMBER)
        assert (closed.status, closed.number, closed.total) == ("final", "2026-0002", bill.total)
        assert close(new.pk, now=DECEMBER).number == "2026-0002"

    def test_what_happened_is_on_both(self, bill: Invoice) -> None:
        new = again(bill)
        event = InvoiceEvent.objects.get(invoice=bill, kind="reissued")
        assert (event.actor, event.detail) == ("ben", {"invoice": new.pk, "reason": "Wrong usage"})
        opened = InvoiceEvent.objects.get(invoice=new, kind="opened")
        assert (opened.actor, opened.detail["in_place_of"]) == ("ben", "2026-0001")

    def test_of_one_that_is_void(self, bill: Invoice) -> None:
        void(bill)
        assert again(bill).replaces == bill
        assert CreditNote.objects.count() == 1
        with pytest.raises(ValidationError, match="another invoice for this period"):
            again(bill)

    def test_one_after_the_other(self, bill: Invoice) -> None:
        second = close(again(bill).pk, now=DECEMBER)
        third = close(again(second).pk, now=DECEMBER)
        assert [fresh(one).status for one in (bill, second, third)] == ["void", "void", "final"]
        void(third)
        with pytest.raises(ValidationError, match="taken its place before"):
            again(bill)
        assert again(third).total == bill.total

    def test_with_todays_promotions_and_taxes(self, bill: Invoice) -> None:
        bill.customer.promotions.update(ends_on=date(2026, 11, 1))
        assert again(bill).total == Decimal("123.17")

    def test_late_usage_counts_in_it_until_it_is_final(self, bill: Invoice) -> None:
        new = again(bill)
        send("acme", "ApiCalls", 11, time=MID_NOVEMBER, now=DECEMBER)
        assert due.stale_invoices(10, now=DECEMBER) == [new.pk]
        closed = close(new.pk, now=DECEMBER + timedelta(minutes=1))
        assert closed.total == Decimal("122.63")

    def test_of_what_the_assignment_has_left_of_the_period(self, bill: Invoice) -> None:
        void(bill)
        change_plan(bill.assignment, plan=plan_with("Other", {}, fee("base", "9")), when=date(2026, 11, 15))
        new = again(bill)
        assert (new.period_start, new.period_end) == (bill.period_start, datetime(2026, 11, 15, tzinfo=UTC))
        # The usage was at noon of that day.
        assert new.total == 0

    def test_not_where_the_assignment_has_nothing_left_of_the_period(self, bill: Invoice) -> None:
        void(bill)
        end(bill.assignment, ends_on=date(2026, 11, 1))
        with pytest.raises(ValidationError, match="ended before this period"):
            again(fresh(bill))

    def test_again_where_the_one_in_its_place_was_taken_back_by_an_end(self, bill: Invoice) -> None:
        again(bill)
        assignment = end(bill.assignment, ends_on=date(2026, 11, 1))
        assert not Invoice.objects.filter(status__in=Invoice.LIVE).exists()
        end(assignment, ends_on=None)
        new = again(fresh(bill))
        assert (new.replaces, new.total) == (bill, bill.total)

    def test_it_does_not_grow_into_the_next_invoice(self) -> None:
        """Of an assignment that ended inside the period, and goes on after all since."""
        customer = make_customer("acme")
        ended = put_on(customer, make_plan_of_two(), date(2026, 11, 1), date(2026, 11, 10))
        bill = void(finalize(customer))
        end(ended, ends_on=None)
        new = again(bill)
        ended.refresh_from_db()
        end(ended, ends_on=date(2026, 12, 20))
        live = Invoice.objects.filter(status__in=Invoice.LIVE).order_by("period_start")
        assert [one.period_start.day for one in live][:2] == [1, 10]
        assert fresh(new).period_end == live[1].period_start

    def test_only_of_what_was_final(self, bill: Invoice) -> None:
        put_on(other := make_customer("other"), bill.assignment.plan, date(2026, 11, 1))
        with pytest.raises(ValidationError, match="Only a final invoice"):
            again(Invoice.objects.filter(customer=other)[0])

    def test_not_of_corrections(self, bill: Invoice) -> None:
        fields = ("customer", "assignment", "plan_version", "period_start", "period_end", "time_zone", "closes_at")
        correction = Invoice.objects.create(
            **{name: getattr(bill, name) for name in fields},
            currency="USD",
            is_correction=True,
            status="final",
            number="2026-0099",
            finalized_at=DECEMBER,
        )
        with pytest.raises(ValidationError, match="came late"):
            again(correction)
        # They can be void.
        assert void(correction).status == "void"

    def test_one_invoice_for_a_period_among_those_that_are_not_void(self, bill: Invoice) -> None:
        again(bill)
        fields = ("customer", "assignment", "plan_version", "period_start", "period_end", "time_zone", "closes_at")
        with pytest.raises(IntegrityError, match="invoice_one_per_period"), transaction.atomic():
            Invoice.objects.create(**{name: getattr(bill, name) for name in fields}, currency="USD")


class TestTheDatabaseKeepsVoidOnes:
    @pytest.mark.parametrize("change", [{"status": "final"}, {"total": 1}, {"number": ""}, {"closes_at": DECEMBER}])
    def test_whoever_asks(self, bill: Invoice, change: dict) -> None:
        void(bill)
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            Invoice.objects.filter(pk=bill.pk).update(**change)
        with pytest.raises(IntegrityError), transaction.atomic():
            bill.lines.update(amount=1)
