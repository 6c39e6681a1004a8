"""Where one period ends and the next begins: to the microsecond, where clocks change, on the far sides of the day."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError

from invoices.models import Invoice
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.plans import fee as fee_of
from tests.scenarios.account import Account, fee, lines, per_unit

MICROSECOND = timedelta(microseconds=1)
GRACE = timedelta(hours=24)

# A zone, the first day of a period by anniversary, the instant at which the next one begins, the minutes that the first
# one has, and when its invoice is due: 14 days from the day on which 24 hours of grace are over.
BOUNDS = [
    # A day of 23 hours is in it, one of 25.
    ("Europe/Berlin", "2027-03-01", "2027-03-31T22:00Z", 31 * 1440 - 60, "2027-04-16"),
    ("America/New_York", "2027-11-01", "2027-12-01T05:00Z", 30 * 1440 + 60, "2027-12-16"),
    # The clock goes back on the last day, by an hour.
    ("Europe/Berlin", "2027-10-01", "2027-10-31T23:00Z", 31 * 1440 + 60, "2027-11-16"),
    # The clock goes on by half an hour.
    ("Australia/Lord_Howe", "2027-10-01", "2027-10-31T13:00Z", 31 * 1440 - 30, "2027-11-16"),
    # Midnight does not exist: it is 01:00 then, with which the day begins. A day of 23 hours later it is 01:00, too.
    ("America/Havana", "2027-02-14", "2027-03-14T05:00Z", 28 * 1440, "2027-03-29"),
    ("Africa/Cairo", "2027-03-30", "2027-04-29T22:00Z", 31 * 1440, "2027-05-15"),
    ("Asia/Beirut", "2027-02-28", "2027-03-27T22:00Z", 28 * 1440, "2027-04-12"),
    # Midnight comes twice, an hour apart: the day begins with the first, and 24 hours later it is 23:00 of that day.
    ("America/Havana", "2026-10-01", "2026-11-01T04:00Z", 31 * 1440, "2026-11-15"),
    # At midnight it is 23:00 once more: the last evening is an hour longer.
    ("Africa/Cairo", "2027-09-29", "2027-10-28T22:00Z", 30 * 1440 + 60, "2027-11-13"),
    # February has 29 days; a period that begins on the 29th.
    ("Asia/Kathmandu", "2028-02-01", "2028-02-29T18:15Z", 29 * 1440, "2028-03-16"),
    ("Pacific/Chatham", "2028-02-29", "2028-03-28T10:15Z", 29 * 1440, "2028-04-13"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("zone", "first_day", "bound", "minutes", "due"), BOUNDS)
def test_a_period_ends_where_the_next_begins(zone: str, first_day: str, bound: str, minutes: int, due: str) -> None:
    end = datetime.fromisoformat(bound)
    start = end - timedelta(minutes=minutes)
    with time_machine.travel(start, tick=False) as clock:
        customer = make_customer("acme", time_zone=zone)
        plan = plan_with("Basic", {make_meter("Calls"): ONE_EACH}, fee_of("base", "30"), alignment="anniversary")
        put_on(customer, plan, date.fromisoformat(first_day))

        def found() -> list[tuple[Any, ...]]:
            run_sweep()
            invoices = customer.invoices.order_by("period_start")
            return [(one.status, one.period_start, one.total) for one in invoices]

        send("acme", "Calls", 1, time=start)
        clock.move_to(end - MICROSECOND)
        send("acme", "Calls", 2, time=end - MICROSECOND)
        send("acme", "Calls", 4, time=end)  # of a moment to come
        # However many hours its days have, a whole period has the whole fee.
        assert found() == [("open", start, 33)]
        assert Invoice.objects.get().period_end == end
        clock.move_to(end)
        send("acme", "Calls", 8, time=end)
        assert found() == [("grace", start, 33), ("open", end, 42)]
        clock.move_to(end + GRACE - MICROSECOND)
        send("acme", "Calls", 16, time=end - MICROSECOND)
        assert found() == [("grace", start, 49), ("open", end, 42)]
        clock.move_to(end + GRACE)
        assert found() == [("final", start, 49), ("open", end, 42)]
        final = Invoice.objects.get(status="final")
        assert (final.due_on, final.finalized_at) == (date.fromisoformat(due), end + GRACE)


# By the account's zone: the numbers of the two invoices.
@pytest.mark.parametrize(
    ("zone", "numbers"),
    [("UTC", ["2027-0001", "2028-0001"]), ("Pacific/Kiritimati", ["2028-0001", "2028-0002"])],
)
def test_a_year_ends_25_hours_apart(account: Account, settings: Any, zone: str, numbers: list[str]) -> None:
    settings.ACCOUNT_TIME_ZONE = zone
    account.at("2027-11-28T00:00Z")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "31"))
    account.patch("billing-policy", grace_hours=0)
    for customer, where in (("east", "Pacific/Kiritimati"), ("west", "Pacific/Pago_Pago")):
        account.customer(customer, where)
        account.assign(customer, "Basic", "2027-12-01")
    account.at("2027-12-31T23:59:59.999999+14:00")
    # The first instant of the year in the east is one of the 30th of December in the west.
    account.use("east", "Calls", 3, "2028-01-01T00:00+14:00")
    account.use("west", "Calls", 3, "2028-01-01T00:00+14:00")
    assert [one["status"] for one in account.invoices("east")] == ["final", "open"]
    assert [one["status"] for one in account.invoices("west")] == ["open"]
    account.at("2027-12-31T23:59:59.999999-11:00")
    assert [one["status"] for one in account.invoices("west")] == ["open"]
    account.at("2028-01-01T00:00-11:00")
    assert [one["status"] for one in account.invoices("west")] == ["final", "open"]
    # Each became final on the 1st of January, where the customer is.
    assert account.documents("east")[0] == (numbers[0], "final", "31.00", "2028-01-15", "31.00")
    assert account.documents("west")[0] == (numbers[1], "final", "34.00", "2028-01-15", "34.00")
    assert lines(account.live("east")) == [("Calls", "3", "3.00"), ("Base", "1", "31.00")]
    assert lines(account.live("west")) == [("Calls", "0", "0.00"), ("Base", "1", "31.00")]
    # And is overdue when the 15th is over there.
    account.at("2028-01-15T23:59:59+14:00")
    assert account.overdue() == []
    account.at("2028-01-16T00:00+14:00")
    assert account.overdue() == numbers[:1]
    account.at("2028-01-15T23:59:59-11:00")
    assert account.overdue() == numbers[:1]
    account.at("2028-01-16T00:00-11:00")
    assert account.overdue() == numbers


def test_a_change_of_plan_on_a_day_without_a_midnight(account: Account) -> None:
    """Sunday, 14 March 2027, begins at 01:00 in Havana; it is five o'clock of UTC."""
    account.at("2027-02-27T12:00-05:00")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "31"))
    account.plan("Pro", {"Calls": per_unit("2")}, fee("base", "62"))
    account.customer("acme", "America/Havana")
    basic = account.assign("acme", "Basic", "2027-03-01")
    account.at("2027-03-10T12:00-05:00")
    account.post(f"assignments/{basic}/change-plan", {"plan": "Pro", "when": "2027-03-14"})
    account.use("acme", "Calls", 1, "2027-03-13T23:59:59.999999-05:00")
    assert [one["status"] for one in account.invoices("acme")] == ["open"]
    account.use("acme", "Calls", 10, "2027-03-14T01:00-04:00")
    account.at("2027-04-02T00:00-04:00")
    # 13 and 18 of 31 days.
    basic_bill, pro_bill = account.invoices("acme")[:2]
    assert basic_bill["period_end"] == pro_bill["period_start"] == "2027-03-14T05:00:00Z"
    assert lines(basic_bill) == [("Calls", "1", "1.00"), ("Base", "1", "13.00")]
    assert lines(pro_bill) == [("Calls", "10", "20.00"), ("Base", "1", "36.00")]
    assert account.owed("acme") == 70


def test_who_comes_on_a_day_with_two_midnights_is_charged_from_the_first(account: Account) -> None:
    """Sunday, 1 November 2026, in Havana: 00:30 comes twice."""
    account.at("2026-10-20T12:00Z")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "30"), default=True)
    account.at("2026-11-01T00:30-05:00")  # the second time
    account.customer("acme", "America/Havana")
    account.use("acme", "Calls", 1, "2026-11-01T00:00-04:00")
    account.use("acme", "Calls", 2, "2026-10-31T23:59:59.999999-04:00", id="early")
    account.use("acme", "Calls", 4, "2026-11-30T23:59:59.999999-05:00")
    account.at("2026-12-02T00:00-05:00")
    bill = account.invoices("acme")[0]
    assert (bill["period_start"], lines(bill)) == (
        "2026-11-01T04:00:00Z",
        [("Calls", "5", "5.00"), ("Base", "1", "30.00")],
    )
    # What was used before that is on no invoice, and is not forgotten.
    with pytest.raises(CommandError, match=r"no_plan.* Findings: 1\."):
        account.audit()
    account.void_event("acme", "early")
