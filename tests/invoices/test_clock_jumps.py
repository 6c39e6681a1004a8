"""The clock is put back, or two workers have different ones: one invoice a period, one number, and no money wrong."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from invoices import due, holding, services
from invoices.backtests import backtest
from invoices.backtests.backtest import start_backtest
from invoices.mailing.contents import MailContent
from invoices.mailing.mails import queue
from invoices.mailing.mails import send_due as send_mails
from invoices.models import Correction, Invoice, Mail, MailSetting, OutboxEvent, WebhookDelivery
from invoices.outbox import THROTTLE, tell, tell_throttled
from invoices.prepaid.balances import previews_of
from invoices.prepaid.credits import customers_with_expired, expire_grants
from invoices.webhooks.delivering import send_due
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from meters.models import Customer
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate
from tests.factories import live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.closing import check_numbers
from tests.invoices.late import at, sums, work_at
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import CLOSING, check_ledger, ledger, prepaid
from tests.invoices.receiver import receiving

pytestmark = pytest.mark.django_db

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CENT_AN_HOUR = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture
def clock(db: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(clock: time_machine.Traveller) -> Customer:
    """At $1 a call since November, with 40 calls."""
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    send("acme", "ApiCalls", 40, time=at(11, 10))
    run_sweep()
    return customer


@pytest.fixture
def disk(clock: time_machine.Traveller) -> Customer:
    """Keeps 100 GB from the beginning of 22 November on, at a cent for a GB and hour."""
    storage = make_meter("Storage", aggregation="time_weighted_sum", time_unit="hour", unit="GB-hours")
    customer = make_customer("disk")
    put_on(customer, make_plan("Disk", {storage: CENT_AN_HOUR}), date(2026, 11, 1))
    send("disk", "Storage", 100, time=at(11, 22, 0))
    run_sweep()
    return customer


def november(customer: Customer) -> Invoice:
    return customer.invoices.get(period_start=at(11, 1, 0), is_correction=False)


# Nine days of 24 hours at $1 an hour.
WHOLE = 216


class TestAPeriodThatIsOver:
    def test_stays_over_for_a_worker_whose_clock_is_behind(self, disk: Customer, clock: Any) -> None:
        """A value that holds does so to the end of the period, which another worker has seen."""
        work_at(clock, at(12, 1, 1))
        assert (november(disk).status, november(disk).total) == ("grace", WHOLE)
        clock.move_to(at(11, 30, 20))
        run_sweep()
        assert services.recalculate(november(disk).pk) is False
        assert (november(disk).status, november(disk).total) == ("grace", WHOLE)
        assert not november(disk).follows_clock

    def test_is_rated_again_as_a_whole_by_a_worker_whose_clock_is_behind(self, disk: Customer, clock: Any) -> None:
        """Otherwise the customer would be given the rest of the month back, for good."""
        work_at(clock, CLOSING)
        assert (november(disk).status, november(disk).total) == ("final", WHOLE)
        clock.move_to(at(11, 30, 20))
        # Late usage: one GB for the last hour but one of it.
        send("disk", "Storage", 101, time=at(11, 30, 22), now=at(12, 2))
        send("disk", "Storage", 100, time=at(11, 30, 23), now=at(12, 2))
        run_sweep()
        assert Correction.objects.get().amount == Decimal("0.01")
        work_at(clock, at(12, 3))
        assert Correction.objects.get().amount == Decimal("0.01")

    @pytest.mark.parametrize("back", [at(11, 30, 20), at(12, 1, 3), at(10, 1)])
    def test_and_final_stays_final(self, acme: Customer, clock: Any, back: datetime) -> None:
        work_at(clock, CLOSING)
        before = Invoice.objects.filter(pk=november(acme).pk).values().get()
        lines = list(november(acme).lines.values())
        clock.move_to(back)
        run_sweep()
        assert services.recalculate(november(acme).pk) is False
        assert services.close(november(acme).pk).status == "final"
        services.open_invoices(november(acme).assignment)
        work_at(clock, CLOSING)
        assert Invoice.objects.filter(pk=november(acme).pk).values().get() == before
        assert list(november(acme).lines.values()) == lines
        assert november(acme).events.filter(kind="finalized").count() == 1
        assert acme.invoices.count() == 2
        check_numbers()

    def test_what_comes_by_the_clock_of_then_is_late_usage(self, acme: Customer, clock: Any) -> None:
        """Closed in November by a clock that was ahead: nothing of the rest of the month is lost."""
        work_at(clock, CLOSING)
        clock.move_to(at(11, 25))
        send("acme", "ApiCalls", 7)
        run_sweep()
        work_at(clock, at(1, 3, year=2027))
        assert [one.total for one in acme.invoices.order_by("period_start")] == [40, 7, 0]

    def test_grace_goes_on_to_its_end(self, acme: Customer, clock: Any) -> None:
        work_at(clock, at(12, 1, 12))
        assert november(acme).status == "grace"
        work_at(clock, at(11, 30))
        assert november(acme).status == "grace"
        send("acme", "ApiCalls", 2)
        work_at(clock, CLOSING - MINUTE)
        assert (november(acme).status, november(acme).total) == ("grace", 42)
        work_at(clock, CLOSING)
        assert (november(acme).status, november(acme).total) == ("final", 42)
        assert list(november(acme).events.values_list("kind", flat=True)).count("grace") == 1

    def test_what_is_held_stays_held(self, acme: Customer, clock: Any) -> None:
        work_at(clock, at(12, 1, 12))
        holding.hold(november(acme).pk, reason="Look first")
        clock.move_to(at(11, 30))
        assert list(holding.held()) == [november(acme)]
        work_at(clock, CLOSING)
        assert november(acme).status == "grace"
        holding.release(november(acme).pk)
        work_at(clock, at(12, 1, 23))
        assert november(acme).status == "grace"
        work_at(clock, CLOSING)
        assert november(acme).status == "final"

    def test_it_is_due_so_many_days_after_it_became_final(self, acme: Customer, clock: Any) -> None:
        work_at(clock, CLOSING)
        clock.move_to(at(11, 20))
        run_sweep()
        assert november(acme).due_on == date(2026, 12, 16)


@pytest.mark.parametrize("places", [[at(11, 29), at(12, 5), at(11, 24), at(12, 1), at(11, 30, 23), at(12, 20)]])
def test_wherever_the_clock_jumps_the_sum_is_the_same(clock: Any, places: list[datetime]) -> None:
    """Of two customers with the same usage one is billed while the clock jumps, and one when all is over."""
    storage = make_meter("Storage", aggregation="time_weighted_sum", time_unit="hour", unit="GB-hours")
    plan = plan_with("Both", {make_meter(): ONE_EACH, storage: CENT_AN_HOUR}, fee("base", "7"))
    jumping, steady = make_customer("jumping"), make_customer("steady")
    put_on(jumping, plan, date(2026, 11, 1))
    for number, place in enumerate(places):
        clock.move_to(place)
        for customer in (jumping, steady):
            # When it happened is said by the sender, whose clock is right.
            happened = at(11, 23) + number * timedelta(days=3)
            send(customer.key, "ApiCalls", 3 + number, time=happened, now=at(12, 20))
            send(customer.key, "Storage", 100 + number, time=happened, now=at(12, 20))
        for _ in range(2):
            run_sweep()
    work_at(clock, at(1, 3, year=2027))
    put_on(steady, plan, date(2026, 11, 1))
    work_at(clock, at(1, 3, year=2027))
    work_at(clock, at(2, 3, year=2027))
    assert sums(jumping) == sums(steady)
    for customer in (jumping, steady):
        starts = list(customer.invoices.filter(is_correction=False).values_list("period_start", flat=True))
        assert len(starts) == len(set(starts)) == 4
    check_numbers()


class TestNumbers:
    def test_at_new_year_each_has_that_of_its_own_day(self, clock: Any) -> None:
        """The clock is put back over midnight: both years go on without a gap."""
        plan = plan_with("Basic", {make_meter(): ONE_EACH})
        customers = [make_customer(f"c{number}") for number in range(4)]
        for customer in customers:
            put_on(customer, plan, date(2026, 11, 1))
        moments = [
            at(12, 31, 23) + 59 * MINUTE,
            at(1, 1, 0, year=2027) + MINUTE,
            at(12, 31, 23) + 58 * MINUTE,
            at(1, 1, 0, year=2027) + 2 * MINUTE,
        ]
        numbers = []
        for customer, moment in zip(customers, moments, strict=True):
            clock.move_to(moment)
            numbers.append(services.close(november(customer).pk).number)
        assert numbers == ["2026-0001", "2027-0001", "2026-0002", "2027-0002"]
        check_numbers()


class TestCredits:
    def test_no_credit_expires_while_the_bill_that_it_pays_is_late(self, acme: Customer, clock: Any) -> None:
        """No worker was there for a day. The credit was good when the bill was to become final."""
        grant = prepaid(acme, "30", expires_at=CLOSING + HOUR)
        clock.move_to(CLOSING + 24 * HOUR)
        assert customers_with_expired(CLOSING + 24 * HOUR, 10) == []
        assert expire_grants(acme.pk) == 0
        assert previews_of([acme.pk], CLOSING + 24 * HOUR)[november(acme).pk].amount == 30
        run_sweep()
        assert november(acme).credits_applied == 30
        assert [row[1] for row in ledger([grant])] == ["granted", "drawn"]
        check_ledger()

    def test_nor_by_a_worker_whose_clock_is_ahead(self, acme: Customer, clock: Any) -> None:
        grant = prepaid(acme, "30", expires_at=CLOSING + 5 * MINUTE)
        clock.move_to(CLOSING + 10 * MINUTE)
        assert expire_grants(acme.pk) == 0
        clock.move_to(CLOSING)
        run_sweep()
        assert november(acme).credits_applied == 30
        assert [row[1] for row in ledger([grant])] == ["granted", "drawn"]

    def test_what_is_left_of_it_expires_when_the_bill_is_final(self, acme: Customer, clock: Any) -> None:
        grant = prepaid(acme, "100", expires_at=CLOSING + HOUR)
        work_at(clock, CLOSING + 2 * HOUR)
        assert customers_with_expired(CLOSING + 2 * HOUR, 10) == [acme.pk]
        assert expire_grants(acme.pk) == 1
        assert [row[1:] for row in ledger([grant])] == [("granted", 100, 100), ("drawn", -40, 60), ("expired", -60, 0)]

    def test_one_that_a_bill_comes_too_late_for_anyhow_expires_in_time(self, acme: Customer, clock: Any) -> None:
        """Its grace time ends later than the credit, whenever a worker comes."""
        prepaid(acme, "30", expires_at=CLOSING - MINUTE)
        assert expire_grants(acme.pk, now=CLOSING - MINUTE) == 1
        work_at(clock, CLOSING)
        assert november(acme).credits_applied == 0

    def test_a_bill_that_was_held_is_paid_by_what_was_good_then(self, acme: Customer, clock: Any) -> None:
        prepaid(acme, "30", expires_at=CLOSING + HOUR)
        yen = prepaid(acme, "30", expires_at=CLOSING + HOUR, currency="JPY")
        late = prepaid(acme, "5", starts_at=CLOSING + 2 * HOUR)
        holding.hold(november(acme).pk, reason="Look first")
        clock.move_to(CLOSING + 48 * HOUR)
        assert expire_grants(acme.pk) == 1, "what is in another currency waits for no bill"
        assert [row[1] for row in ledger([yen])] == ["granted", "expired"]
        holding.release(november(acme).pk)
        run_sweep()
        assert november(acme).credits_applied == 35
        assert [row[1] for row in ledger([late])] == ["granted", "drawn"]
        check_ledger()

    def test_put_back_over_an_expiry(self, acme: Customer, clock: Any) -> None:
        """What the ledger says stays said: it is neither drawn after all, nor expires again."""
        grant = prepaid(acme, "30", expires_at=at(11, 25))
        clock.move_to(at(11, 26))
        assert expire_grants(acme.pk) == 1
        clock.move_to(at(11, 24))
        assert expire_grants(acme.pk) == 0
        work_at(clock, CLOSING)
        assert expire_grants(acme.pk) == 0
        assert november(acme).credits_applied == 0
        assert [row[1] for row in ledger([grant])] == ["granted", "expired"]
        check_ledger()


class TestGoingOut:
    """Nothing waits until a clock that was put back is again where it had been."""

    @pytest.fixture(autouse=True)
    def _locmem(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    def test_a_throttled_update(self, clock: Any) -> None:
        create_endpoint(url="http://127.0.0.1:9/hook", allow_private=True)
        tell_throttled("invoice.updated", ["invoice:1"], NOW)
        clock.move_to(NOW - 3 * HOUR)
        assert spread() == 1

    def test_but_clocks_that_differ_by_minutes_leave_it_throttled(self, clock: Any) -> None:
        create_endpoint(url="http://127.0.0.1:9/hook", allow_private=True)
        tell_throttled("invoice.updated", ["invoice:1"], NOW)
        assert spread(now=NOW - 4 * MINUTE) == 0
        tell_throttled("invoice.updated", ["invoice:1"], NOW - 4 * MINUTE)
        assert OutboxEvent.objects.count() == 1
        assert spread(now=NOW + THROTTLE) == 1

    @pytest.mark.parametrize("apart", [timedelta(seconds=3), 10 * MINUTE, 30 * HOUR])
    def test_an_endpoint_gets_what_happens_after_it_was_made_by_another_clock(
        self, clock: Any, apart: timedelta
    ) -> None:
        """By the time that each of them says, what happened was before."""
        create_endpoint(url="http://127.0.0.1:9/first", allow_private=True)
        tell("credit.low", "customer:1", {}, NOW)
        made = create_endpoint(url="http://127.0.0.1:9/hook", allow_private=True)
        clock.move_to(NOW - apart)
        tell("credit.low", "customer:2", {}, NOW - apart)
        assert spread() == 2
        assert [one.about for one in made.deliveries.all()] == ["customer:2"]

    def test_a_delivery(self, clock: Any) -> None:
        with receiving() as receiver:
            create_endpoint(url=receiver.url, allow_private=True)
            tell("credit.low", "customer:1", {}, NOW)
            spread()
            clock.move_to(NOW - 3 * HOUR)
            assert send_due() == 1
            assert WebhookDelivery.objects.get().status == "delivered"

    def test_a_delivery_that_is_to_be_tried_again(self, clock: Any) -> None:
        with receiving() as receiver:
            receiver.answer = (500, {}, "")
            create_endpoint(url=receiver.url, allow_private=True)
            tell("credit.low", "customer:1", {}, NOW)
            spread()
            assert send_due() == 1
            clock.move_to(NOW - timedelta(days=2))
            receiver.answer = (200, {}, "")
            assert send_due() == 1
            assert WebhookDelivery.objects.get().attempts == 2

    def test_and_none_is_tried_too_early(self, clock: Any) -> None:
        with receiving() as receiver:
            receiver.answer = (503, {"Retry-After": str(6 * 3600)}, "")
            create_endpoint(url=receiver.url, allow_private=True)
            tell("credit.low", "customer:1", {}, NOW)
            tell("credit.low", "customer:2", {}, NOW)
            spread()
            assert send_due() == 2
            for minutes in (-5, 0, 1, 359):
                assert send_due(now=NOW + minutes * MINUTE) == 0
            assert send_due(now=NOW + 7 * HOUR) == 2

    def test_a_mail(self, clock: Any) -> None:
        MailSetting.objects.create(kind="credit_low", enabled=True)
        content = MailContent(subject="Hello", intro="something has happened.", facts=[])
        queue("credit_low", "customer:1", ["anna@acme.example"], content, NOW)
        clock.move_to(NOW - 3 * HOUR)
        assert send_mails() == 1
        Mail.objects.update(status="waiting", attempts=3, next_try_at=NOW + 6 * HOUR)
        assert send_mails() == 1
        Mail.objects.update(status="waiting", attempts=3, next_try_at=NOW + 3 * HOUR)
        assert send_mails() == 0


class TestWorkThatWaits:
    def test_a_bill_that_moves_with_the_clock_follows_one_that_was_put_back(self, disk: Customer, clock: Any) -> None:
        clock.move_to(NOW + 6 * HOUR)
        run_sweep()
        assert live_invoice(disk).total == Decimal("20.50")
        clock.move_to(NOW)
        run_sweep()
        assert live_invoice(disk).total == Decimal("14.50")
        assert due.stale_invoices(10) == []

    def test_workers_that_differ_by_minutes_do_not_undo_each_others_work(self, disk: Customer, clock: Any) -> None:
        clock.move_to(NOW + 10 * MINUTE)
        run_sweep()
        assert due.stale_invoices(10, now=NOW) == []

    def test_a_backtest_whose_worker_died_by_a_clock_that_was_ahead(self, acme: Customer, clock: Any) -> None:
        plan = Plan.objects.get()
        draft = draft_version(plan)
        set_rate(draft, product_item=draft.rates.get().product_item, parameters=ONE_EACH | {"unit_price": "2"})
        started = start_backtest(plan=plan)
        assert backtest.unattended(NOW - 3 * HOUR, 10) == [started.pk]
        assert backtest.unattended(NOW - MINUTE, 10) == []
        type(started).objects.update(status="running", seen_at=NOW)
        assert backtest.unattended(NOW - 3 * HOUR, 10) == [started.pk]
        assert backtest.unattended(NOW - MINUTE, 10) == []


class TestPrices:
    """Which price a customer was promised does not hang on whose clock is ahead."""

    @pytest.fixture
    def plan(self, clock: Any) -> Plan:
        return plan_with("Basic", {make_meter(): ONE_EACH})

    def dearer(self, plan: Plan, price: str = "2") -> None:
        draft = draft_version(plan)
        set_rate(draft, product_item=draft.rates.get().product_item, parameters=ONE_EACH | {"unit_price": price})
        activate(plan, moves_existing=False)

    def test_who_comes_after_a_new_version_has_it(self, plan: Plan, clock: Any) -> None:
        clock.move_to(NOW + HOUR)
        self.dearer(plan)
        clock.move_to(NOW + MINUTE)
        late = put_on(make_customer("late"), plan, date(2026, 11, 1))
        assert late.invoices.get().plan_version.number == 2

    def test_who_came_before_it_does_not(self, plan: Plan, clock: Any) -> None:
        clock.move_to(NOW + HOUR)
        early = put_on(make_customer("early"), plan, date(2026, 11, 1))
        clock.move_to(NOW + MINUTE)
        self.dearer(plan)
        clock.move_to(CLOSING)
        run_sweep()
        assert set(early.invoices.values_list("plan_version__number", flat=True)) == {1}
        late = put_on(make_customer("late"), plan, date(2026, 12, 2))
        assert late.invoices.get().plan_version.number == 2
