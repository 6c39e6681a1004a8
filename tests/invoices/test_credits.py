"""Prepaid credits: granted once, drawn when an invoice becomes final, given back, expired, voided."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from invoices import services
from invoices.locking import lock_invoice
from invoices.models import CreditEntry, CreditGrant, Invoice, InvoiceEvent
from invoices.prepaid.balances import balances_of, drawn_of, previews_of
from invoices.prepaid.credits import (
    customers_with_expired,
    draw_credits,
    expire_grants,
    give_back,
    grant_credits,
    void_grant,
)
from invoices.prepaid.words import entry_words
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.settlement import refresh
from invoices.settling.voiding import void_invoice
from invoices.statements.statement import statement_of
from invoices.tasks.prepaid import follow_credits
from meters.models import Customer, Meter
from meters.periods import Period
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.books import audit, findings
from tests.invoices.november import MONTH_END, NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import CLOSING, check_ledger, finalized, ledger, prepaid

pytestmark = pytest.mark.django_db

D = Decimal
DAY = timedelta(days=1)


@pytest.fixture
def calls(november: object) -> Meter:
    return make_meter("ApiCalls")


@pytest.fixture
def owing(calls: Meter) -> Customer:
    """A customer that owes $40 for November, so far."""
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {calls: ONE_EACH}), datetime(2026, 11, 1).date())
    send("acme", "ApiCalls", 40)
    run_sweep()
    return customer


class TestGranting:
    def test_a_grant_and_its_first_entry(self, owing: Customer, calls: Meter) -> None:
        grant, is_new = grant_credits(
            customer=owing,
            name=" Starter pack ",
            currency="USD",
            amount="100",
            price_paid="80.00",
            priority=10,
            expires_at=NOW + 30 * DAY,
            product_items=[calls.product_item],
            reference="order-17",
            actor="anna",
        )
        assert is_new
        grant.refresh_from_db()
        assert (grant.name, grant.amount, grant.price_paid, grant.priority) == ("Starter pack", 100, 80, 10)
        assert (grant.starts_at, grant.source, grant.actor) == (NOW, "staff", "anna")
        assert list(grant.product_items.all()) == [calls.product_item]
        entry = grant.entries.get()
        assert (entry.kind, entry.amount, entry.balance, entry.at, entry.actor) == ("granted", 100, 100, NOW, "anna")
        assert entry.invoice is None

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("amount", {"amount": "0"}),
            ("amount", {"amount": "-5"}),
            ("amount", {"amount": "10.005"}),
            ("amount", {"amount": "NaN"}),
            ("amount", {"amount": "much"}),
            ("amount", {"amount": "10.5", "currency": "JPY"}),
            ("price_paid", {"price_paid": "-1"}),
            ("price_paid", {"price_paid": "0.001"}),
            ("currency", {"currency": "usd"}),
            ("currency", {"currency": ""}),
            ("name", {"name": "  "}),
            ("name", {"name": "x" * 201}),
            ("name", {"name": "a\0b"}),
            ("priority", {"priority": -1}),
            ("priority", {"priority": 40_000}),
            ("reference", {"reference": "x" * 201}),
            ("source", {"source": "heaven"}),
            ("expires_at", {"expires_at": NOW}),
            ("expires_at", {"expires_at": NOW + DAY, "starts_at": NOW + DAY}),
            ("expires_at", {"starts_at": NOW - 9 * DAY, "expires_at": NOW - DAY}),
            ("expires_at", {"expires_at": datetime(2300, 1, 1, tzinfo=UTC)}),
            ("starts_at", {"starts_at": datetime(1800, 1, 1, tzinfo=UTC)}),
        ],
    )
    def test_what_is_refused(self, owing: Customer, field: str, changes: dict[str, Any]) -> None:
        fields = {"name": "Prepaid", "currency": "USD", "amount": "10"} | changes
        with pytest.raises(ValidationError) as error:
            grant_credits(customer=owing, **fields)
        assert set(error.value.message_dict) == {field}
        assert not CreditGrant.objects.exists()

    def test_the_same_reference_grants_once(self, owing: Customer) -> None:
        first = prepaid(owing, "10", reference="order-17")
        again, is_new = grant_credits(
            customer=owing, name="Prepaid", currency="USD", amount="10.00", reference=" order-17", now=NOW + DAY
        )
        assert (again, is_new) == (first, False)
        assert ledger([first]) == [("Prepaid", "granted", 10, 10)]

    @pytest.mark.parametrize(
        "changes",
        [{"amount": "11"}, {"currency": "EUR"}, {"expires_at": NOW + DAY}, {"starts_at": NOW + DAY}, {"priority": 1}],
    )
    def test_the_same_reference_with_another_content_is_refused(self, owing: Customer, changes: Any) -> None:
        prepaid(owing, "10", reference="order-17")
        fields = {"name": "Prepaid", "currency": "USD", "amount": "10", "reference": "order-17"} | changes
        with pytest.raises(ValidationError, match=next(iter(changes)).replace("_", " ")):
            grant_credits(customer=owing, **fields)
        assert CreditGrant.objects.count() == 1

    def test_the_same_reference_for_other_items_is_refused(self, owing: Customer, calls: Meter) -> None:
        prepaid(owing, "10", reference="order-17", product_items=[calls.product_item])
        with pytest.raises(ValidationError, match="product items"):
            prepaid(owing, "10", reference="order-17")

    def test_another_customer_has_references_of_its_own(self, owing: Customer) -> None:
        assert prepaid(owing, "10", reference="1") != prepaid(make_customer("globex"), "10", reference="1")
        assert prepaid(owing, "10") != prepaid(owing, "10"), "without one every grant counts"

    def test_the_ledger_is_only_added_to(self, owing: Customer) -> None:
        prepaid(owing, "10")
        with pytest.raises(DatabaseError), transaction.atomic():
            CreditEntry.objects.update(amount=11)
        with pytest.raises(DatabaseError), transaction.atomic():
            CreditEntry.objects.all().delete()


class TestDrawing:
    def test_an_invoice_is_paid_when_it_becomes_final(self, owing: Customer) -> None:
        grant = prepaid(owing, "100")
        assert live_invoice(owing).credits_applied == 0
        invoice = finalized(owing)
        invoice.refresh_from_db()
        assert (invoice.total, invoice.credits_applied, invoice.amount_due) == (40, 40, 0)
        assert invoice.payment_status == "paid"
        assert ledger([grant]) == [("Prepaid", "granted", 100, 100), ("Prepaid", "drawn", -40, 60)]
        entry = grant.entries.get(kind="drawn")
        assert (entry.invoice, entry.at) == (invoice, CLOSING)
        assert invoice.events.get(kind="credits drawn").detail == {"amount": "40.00"}
        check_ledger()

    def test_too_little_credit_leaves_something_to_pay(self, owing: Customer) -> None:
        prepaid(owing, "15.50")
        invoice = finalized(owing)
        assert (invoice.credits_applied, invoice.amount_due, invoice.payment_status) == (
            D("15.50"),
            D("24.50"),
            "partly",
        )

    def test_taxes_are_paid_as_well(self, owing: Customer) -> None:
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        prepaid(owing, "100")
        invoice = finalized(owing)
        assert (invoice.subtotal, invoice.total, invoice.credits_applied) == (40, D("47.60"), D("47.60"))

    def test_by_priority_expiry_and_age(self, owing: Customer) -> None:
        late = prepaid(owing, "15", name="late", expires_at=CLOSING + 9 * DAY)
        old = prepaid(owing, "10", name="old")
        soon = prepaid(owing, "15", name="soon", expires_at=CLOSING + DAY)
        first = prepaid(owing, "5", name="first", priority=1)
        prepaid(owing, "10", name="young")
        invoice = finalized(owing)
        assert drawn_of(invoice) == [(first, 5), (soon, 15), (late, 15), (old, 5)]
        check_ledger()

    def test_a_restricted_grant_pays_its_items_with_their_share_of_taxes_and_discounts(
        self, calls: Meter, november: object
    ) -> None:
        storage = make_meter("Storage")
        plan = plan_with("Basic", {calls: ONE_EACH, storage: ONE_EACH}, fee("base", "20"))
        customer = make_customer("acme")
        put_on(customer, plan, datetime(2026, 11, 1).date())
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
        half = {"key": "half", "name": "Half", "percent": "50", "product_items": [calls.product_item]}
        apply_promotion(customer=customer, promotion=save_promotion(changes=half))
        send("acme", "ApiCalls", 60)
        send("acme", "Storage", 50)
        run_sweep()
        # 60 - 30 + 50 + 20 = 100, with tax 110: calls have 33 of it, storage 55, the fee 22.
        for_calls = prepaid(customer, "500", name="calls", product_items=[calls.product_item])
        for_storage = prepaid(customer, "50", name="storage", product_items=[storage.product_item])
        preview = previews_of([customer.pk], NOW)[live_invoice(customer).pk]
        invoice = finalized(customer)
        assert (invoice.total, invoice.credits_applied) == (110, 83)
        assert drawn_of(invoice) == [(for_calls, 33), (for_storage, 50)]
        assert (preview.amount, list(preview.drawn)) == (83, drawn_of(invoice))
        check_ledger()

    def test_other_currencies_stay(self, owing: Customer) -> None:
        euros = prepaid(owing, "100", currency="EUR")
        invoice = finalized(owing)
        assert (invoice.credits_applied, invoice.payment_status) == (0, "unpaid")
        assert euros.entries.count() == 1

    def test_credits_of_strangers_stay(self, owing: Customer) -> None:
        stranger = make_customer("globex")
        prepaid(stranger, "100")
        assert finalized(owing).credits_applied == 0

    @pytest.mark.parametrize(
        ("microseconds", "drawn"),
        [(-1, 0), (0, 0), (1, 40)],
    )
    def test_expiry_counts_exactly_at_the_moment_of_finalising(
        self, owing: Customer, microseconds: int, drawn: int
    ) -> None:
        prepaid(owing, "100", expires_at=CLOSING + timedelta(microseconds=microseconds))
        assert finalized(owing).credits_applied == drawn

    @pytest.mark.parametrize(("microseconds", "drawn"), [(0, 40), (1, 0)])
    def test_a_grant_in_the_future_waits(self, owing: Customer, microseconds: int, drawn: int) -> None:
        prepaid(owing, "100", starts_at=CLOSING + timedelta(microseconds=microseconds))
        assert finalized(owing).credits_applied == drawn

    def test_an_invoice_of_nothing_draws_nothing_and_is_paid(self, owing: Customer) -> None:
        grant = prepaid(owing, "100")
        half = {"key": "all", "name": "All", "percent": "100"}
        apply_promotion(customer=owing, promotion=save_promotion(changes=half))
        invoice = finalized(owing)
        assert (invoice.total, invoice.payment_status) == (0, "paid")
        assert grant.entries.count() == 1

    def test_drawing_twice_draws_once(self, owing: Customer) -> None:
        prepaid(owing, "100")
        invoice = finalized(owing)
        draw_credits(invoice, CLOSING)
        services.close(invoice.pk, now=CLOSING + DAY)
        assert CreditEntry.objects.filter(kind="drawn").count() == 1

    def test_a_void_grant_is_not_drawn(self, owing: Customer) -> None:
        void_grant(prepaid(owing, "100"))
        assert finalized(owing).credits_applied == 0

    def test_what_comes_after_an_invoice_is_final_pays_the_next_one(self, owing: Customer) -> None:
        invoice = finalized(owing)
        prepaid(owing, "100", now=CLOSING)
        invoice.refresh_from_db()
        assert (invoice.credits_applied, invoice.payment_status) == (0, "unpaid")

    def test_without_credits_a_closing_asks_once(self, owing: Customer) -> None:
        invoice = live_invoice(owing)
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            services.close(invoice.pk, now=CLOSING)
        about = [query for query in asked if 'FROM "invoices_credit' in query["sql"] and "SELECT" in query["sql"][:6]]
        assert len(about) == 2, "one for entries of the invoice, one for grants"


def owed(customer: Customer) -> Decimal:
    """What the statement says at its end, later than anything."""
    late = datetime(2027, 12, 1, tzinfo=UTC)
    return statement_of(customer, "USD", Period(CLOSING - DAY, late), now=late).closing


class TestBelowZero:
    @pytest.fixture
    def below(self, owing: Customer) -> Invoice:
        """A live invoice that comes to -25, as a correction of an earlier one can make it."""
        invoice = live_invoice(owing)
        Invoice.objects.filter(pk=invoice.pk).update(total=D("-25.00"), subtotal=D("-25.00"))
        invoice.refresh_from_db()
        return invoice

    def final(self, invoice: Invoice) -> Invoice:
        """Made final as it is; drawing is what is tried here."""
        with transaction.atomic():
            Invoice.objects.filter(pk=invoice.pk).update(status="final", number="2026-0001", finalized_at=CLOSING)
            locked = lock_invoice(invoice.pk)
            draw_credits(locked, CLOSING)
        return locked

    def test_it_becomes_a_grant(self, below: Invoice) -> None:
        invoice = self.final(below)
        grant = CreditGrant.objects.get()
        assert (grant.amount, grant.currency, grant.source) == (25, "USD", "invoice")
        assert (grant.name, grant.starts_at, grant.expires_at) == ("From invoice 2026-0001", CLOSING, None)
        assert (invoice.credits_applied, invoice.amount_due, invoice.payment_status) == (-25, 0, "paid")
        draw_credits(invoice, CLOSING)
        assert CreditGrant.objects.count() == 1
        check_ledger()

    def test_void_takes_back_what_is_left_of_it(self, below: Invoice) -> None:
        invoice = self.final(below)
        with transaction.atomic():
            Invoice.objects.filter(pk=invoice.pk).update(status="void", voided_at=CLOSING)
            locked = lock_invoice(invoice.pk)
            give_back(locked, CLOSING + DAY)
        assert ledger(CreditGrant.objects.all())[-1][1:] == ("voided", -25, 0)
        assert CreditGrant.objects.get().voided_at == CLOSING + DAY
        assert locked.credits_applied == 0
        give_back(locked, CLOSING + DAY)
        check_ledger()

    def test_void_after_staff_have_voided_it(self, below: Invoice) -> None:
        invoice = self.final(below)
        grant = void_grant(CreditGrant.objects.get(), now=CLOSING + DAY)
        void_invoice(invoice.pk, reason="Wrong", now=CLOSING + 2 * DAY)
        invoice.refresh_from_db()
        assert (invoice.status, invoice.credits_applied, invoice.amount_due) == ("void", 0, 0)
        assert [entry[1:] for entry in ledger([grant])] == [
            ("granted", 25, 25),
            ("voided", -25, 0),
            ("returned", 25, 25),
            ("voided", -25, 0),
        ]
        assert [entry_words(entry) for entry in grant.entries.order_by("-id")[:2]] == ["Voided", "Returned"]
        assert owed(invoice.customer) == 0
        with transaction.atomic():
            give_back(lock_invoice(invoice.pk), CLOSING + 3 * DAY)
        assert grant.entries.count() == 4
        check_ledger()
        assert findings(audit(checks=["ledger", "settlement"])) == []

    def test_void_after_staff_have_voided_what_was_left_of_it(self, below: Invoice) -> None:
        """What it paid of another invoice stays paid, and is due of the void one until that is credited."""
        invoice = self.final(below)
        customer, grant = invoice.customer, CreditGrant.objects.get()
        small = put_on(customer, plan_with("Small", {}, fee("base", "10")), datetime(2026, 12, 1).date())
        [other] = services.open_invoices(small, now=CLOSING)
        services.close(other.pk, now=CLOSING + 40 * DAY)
        void_grant(grant, now=CLOSING + 41 * DAY)
        void_invoice(invoice.pk, reason="Wrong", now=CLOSING + 42 * DAY)
        invoice.refresh_from_db()
        assert (invoice.credits_applied, invoice.amount_due) == (-10, 10)
        issue_credit_note(other.pk, reason="So", now=CLOSING + 43 * DAY)
        invoice.refresh_from_db()
        assert (invoice.credits_applied, invoice.amount_due) == (0, 0)
        assert owed(customer) == 0
        check_ledger()


class TestGivingBack:
    def credited(self, invoice: Invoice, amount: Any, now: datetime = CLOSING + DAY) -> Invoice:
        """As a credit note of this amount leaves it."""
        with transaction.atomic():
            locked = lock_invoice(invoice.pk)
            locked.credit_notes.create(
                number=f"CN-{locked.credit_notes.count()}", reason="-", subtotal=amount, total=amount, issued_at=now
            )
            refresh(locked, now)
        locked.refresh_from_db()
        return locked

    def test_what_was_drawn_beyond_the_new_total_goes_back_newest_first(self, owing: Customer) -> None:
        first = prepaid(owing, "25", name="first", priority=1)
        second = prepaid(owing, "100", name="second")
        invoice = finalized(owing)
        invoice = self.credited(invoice, D(10))
        assert (invoice.credits_applied, invoice.credited, invoice.amount_due) == (30, 10, 0)
        assert invoice.payment_status == "paid"
        assert drawn_of(invoice) == [(first, 25), (second, 5)]
        invoice = self.credited(invoice, D(20))
        assert drawn_of(invoice) == [(first, 10)]
        assert ledger([second])[2:] == [("second", "returned", 10, 95), ("second", "returned", 5, 100)]
        assert ledger([first])[2:] == [("first", "returned", 15, 15)]
        assert invoice.events.filter(kind="credits returned").count() == 2
        check_ledger()

    def test_nothing_goes_back_while_it_comes_to_more_than_was_drawn(self, owing: Customer) -> None:
        prepaid(owing, "25")
        invoice = self.credited(finalized(owing), D(15))
        assert (invoice.credits_applied, invoice.amount_due, invoice.payment_status) == (25, 0, "paid")
        assert not CreditEntry.objects.filter(kind="returned").exists()

    def test_of_a_credited_invoice_all_goes_back(self, owing: Customer) -> None:
        grant = prepaid(owing, "25")
        invoice = self.credited(finalized(owing), D(40))
        assert (invoice.credits_applied, invoice.amount_due) == (0, 0)
        assert balances_of(owing, CLOSING + DAY)[0].amount == 25
        assert drawn_of(invoice) == []
        assert grant.entries.count() == 3

    def test_what_comes_back_to_an_expired_grant_has_expired(self, owing: Customer) -> None:
        grant = prepaid(owing, "40", expires_at=CLOSING + DAY)
        self.credited(finalized(owing), D(40), now=CLOSING + DAY)
        assert [row[1:] for row in ledger([grant])[2:]] == [("returned", 40, 40), ("expired", -40, 0)]
        check_ledger()

    def test_what_comes_back_to_a_void_grant_is_void(self, owing: Customer) -> None:
        grant = prepaid(owing, "50")
        invoice = finalized(owing)
        void_grant(grant, now=CLOSING)
        self.credited(invoice, D(15))
        kinds = [(kind, amount, left) for _, kind, amount, left in ledger([grant])]
        assert kinds[2:] == [("voided", -10, 0), ("returned", 15, 15), ("voided", -15, 0)]
        check_ledger()


class TestVoidingAndExpiring:
    def test_the_rest_of_a_grant_is_taken_back(self, owing: Customer) -> None:
        grant = prepaid(owing, "100")
        finalized(owing)
        grant = void_grant(grant, reason=" Paid by mistake ", actor="anna", now=CLOSING + DAY)
        assert grant.voided_at == CLOSING + DAY
        entry = grant.entries.last()
        assert entry is not None
        assert (entry.kind, entry.amount, entry.balance) == ("voided", -60, 0)
        assert (entry.actor, entry.note) == ("anna", "Paid by mistake")
        assert balances_of(owing, CLOSING + DAY) == []
        with pytest.raises(ValidationError, match="void already"):
            void_grant(grant)
        check_ledger()

    def test_an_empty_grant_is_void_without_an_entry(self, owing: Customer) -> None:
        grant = prepaid(owing, "40")
        finalized(owing)
        assert void_grant(grant).voided_at is not None
        assert grant.entries.count() == 2

    def test_a_reason_that_is_too_long_is_refused(self, owing: Customer) -> None:
        with pytest.raises(ValidationError):
            void_grant(prepaid(owing, "40"), reason="x" * 301)

    def test_what_has_expired_is_entered_once(self, owing: Customer) -> None:
        gone = prepaid(owing, "100", name="gone", expires_at=CLOSING)
        prepaid(owing, "100", name="good", expires_at=CLOSING + timedelta(microseconds=1))
        assert customers_with_expired(CLOSING - timedelta(microseconds=1), 10) == []
        assert expire_grants(owing.pk, now=CLOSING - timedelta(microseconds=1)) == 0
        assert customers_with_expired(CLOSING, 10) == [owing.pk]
        assert expire_grants(owing.pk, now=CLOSING) == 1
        assert expire_grants(owing.pk, now=CLOSING) == 0
        assert customers_with_expired(CLOSING, 10) == []
        assert ledger([gone])[1:] == [("gone", "expired", -100, 0)]
        assert [row.amount for row in balances_of(owing, CLOSING)] == [100]
        check_ledger()

    def test_the_beat_enters_it(self, owing: Customer, november: time_machine.Traveller) -> None:
        prepaid(owing, "100", expires_at=CLOSING)
        november.move_to(CLOSING)
        follow_credits()
        follow_credits()
        assert CreditEntry.objects.filter(kind="expired").count() == 1

    def test_it_is_no_balance_from_that_moment_on_entered_or_not(self, owing: Customer) -> None:
        prepaid(owing, "100", expires_at=CLOSING)
        assert [row.amount for row in balances_of(owing, CLOSING - timedelta(microseconds=1))] == [100]
        assert balances_of(owing, CLOSING) == []


class TestReading:
    def test_balances_by_currency(self, owing: Customer, calls: Meter) -> None:
        prepaid(owing, "30", expires_at=NOW + 9 * DAY)
        prepaid(owing, "20", expires_at=NOW + 9 * DAY, product_items=[calls.product_item])
        prepaid(owing, "7")
        prepaid(owing, "50", starts_at=NOW + DAY)
        prepaid(owing, "800", currency="JPY")
        prepaid(make_customer("globex"), "999")
        yen, dollars = balances_of(owing, NOW)
        assert (yen.currency, yen.amount, yen.expires_at) == ("JPY", 800, None)
        assert (dollars.currency, dollars.amount, dollars.restricted, dollars.pending) == ("USD", 57, 20, 50)
        assert (dollars.expiring, dollars.expires_at) == (50, NOW + 9 * DAY)

    def test_a_preview_is_what_finalising_draws(self, owing: Customer) -> None:
        prepaid(owing, "30")
        invoice = live_invoice(owing)
        preview = previews_of([owing.pk], NOW)[invoice.pk]
        assert preview.amount == 30
        assert list(preview.drawn) == drawn_of(finalized(owing))
        assert previews_of([owing.pk], NOW) == {}

    def test_a_preview_looks_at_the_moment_of_finalising(self, owing: Customer) -> None:
        prepaid(owing, "10", expires_at=CLOSING)
        prepaid(owing, "11", starts_at=CLOSING)
        prepaid(owing, "12", starts_at=CLOSING + DAY)
        assert previews_of([owing.pk], NOW)[live_invoice(owing).pk].amount == 11

    def test_two_running_invoices_do_not_count_the_same_money(self, owing: Customer) -> None:
        storage = make_meter("Storage")
        put_on(owing, plan_with("Storage", {storage: ONE_EACH}), datetime(2026, 11, 1).date())
        send("acme", "Storage", 25)
        run_sweep()
        prepaid(owing, "50")
        first, second = Invoice.objects.filter(status="open").order_by("closes_at", "id")
        assert {pk: one.amount for pk, one in previews_of([owing.pk], NOW).items()} == {first.pk: 40, second.pk: 10}

    def test_previews_of_many_customers_take_as_many_questions_as_of_one(self, owing: Customer, calls: Meter) -> None:
        prepaid(owing, "30")
        with CaptureQueriesContext(connection) as of_one:
            previews_of([owing.pk], NOW)
        others = [make_customer(f"c{number}") for number in range(3)]
        plan = owing.assignments.get().plan
        for customer in others:
            put_on(customer, plan, datetime(2026, 11, 1).date())
            send(customer.key, "ApiCalls", 5)
            prepaid(customer, "3")
        run_sweep()
        with CaptureQueriesContext(connection) as of_many:
            found = previews_of([owing.pk, *(one.pk for one in others)], NOW)
        assert sorted(one.amount for one in found.values()) == [3, 3, 3, 30]
        assert len(of_many) == len(of_one)

    def test_a_grace_invoice_is_previewed_too(self, owing: Customer) -> None:
        prepaid(owing, "30")
        services.close(live_invoice(owing).pk, now=MONTH_END)
        assert previews_of([owing.pk], MONTH_END)[Invoice.objects.get(status="grace").pk].amount == 30


def test_events_tell_what_credits_did(owing: Customer) -> None:
    prepaid(owing, "15")
    invoice = finalized(owing)
    kinds = list(InvoiceEvent.objects.filter(invoice=invoice).order_by("id").values_list("kind", flat=True))
    assert kinds.index("credits drawn") > kinds.index("finalized")
