"""From the trial to the last part of a month, and what is still found out after a customer has left."""

import pytest

from tests.scenarios.account import Account, fee, lines, per_unit


@pytest.fixture
def account(account: Account) -> Account:
    account.at("2028-01-31T08:00Z")
    account.meter("Calls", "calls")
    return account


def test_a_trial_three_periods_and_a_goodbye(account: Account) -> None:
    """By anniversary, from the 31st of January on: February has 29 days, so its last one begins the next period."""
    calls = {"parameters": per_unit("1", included_units="29"), "prorated": True}
    setup = fee("setup", "50", kind="one_time")
    terms = {"alignment": "anniversary", "trial_days": 7}
    account.plan("Basic", {"Calls": calls}, fee("base", "29"), setup, default=True, **terms)
    account.customer("acme", "Europe/London")
    account.use("acme", "Calls", 5, "2028-02-06T23:59:59.999999Z")
    account.use("acme", "Calls", 40, "2028-02-07T00:00Z")
    account.use("acme", "Calls", 30, "2028-02-29T00:00Z", id="leap")
    account.at("2028-03-01T00:00Z")
    # 22 of 29 days are charged: 29 less 7, and 22 of 40 calls are free.
    first = account.invoices("acme")[0]
    assert (first["period_end"], lines(first)) == (
        "2028-02-29T00:00:00Z",
        [("Calls", "40", "18.00"), ("Calls", "5", "0.00"), ("Base", "1", "22.00"), ("Setup", "1", "50.00")],
    )
    assert [line["kind"] for line in first["lines"]] == ["usage", "trial", "fee", "fee"]
    # The second one ends on the 31st again, in summer time. It is whole.
    account.at("2028-04-01T00:00+01:00")
    second = account.invoices("acme")[1]
    assert (second["period_end"], lines(second)) == (
        "2028-03-30T23:00:00Z",
        [("Calls", "30", "1.00"), ("Base", "1", "29.00")],
    )

    # The third would end on the 30th of April; the customer leaves on the 10th.
    account.at("2028-04-05T12:00+01:00")
    [assignment] = account.get("assignments", customer="acme")["data"]
    account.post(f"assignments/{assignment['id']}/end", {"ends_on": "2028-04-10"}, expect=200)
    account.use("acme", "Calls", 10, "2028-04-09T23:59:59.999999+01:00")
    account.at("2028-04-11T00:00+01:00")
    # 10 of 30 days: 9.67, and 9.666666666666667 calls are free.
    third = account.invoices("acme")[2]
    assert (third["period_end"], lines(third)) == (
        "2028-04-09T23:00:00Z",
        [("Calls", "10", "0.33"), ("Base", "1", "9.67")],
    )
    assert account.documents("acme") == [
        ("2028-0001", "final", "90.00", "2028-03-15", "90.00"),
        ("2028-0002", "final", "30.00", "2028-04-15", "30.00"),
        ("2028-0003", "final", "10.00", "2028-04-25", "10.00"),
    ]

    # There is no next invoice. So what comes late of April is one of its own, and a void of March a credit note.
    account.at("2028-05-20T12:00+01:00")
    account.use("acme", "Calls", 3, "2028-04-05T12:00+01:00")
    assert lines(account.invoice("2028-0004")) == [("Calls, 31 Mar – 9 Apr 2028 (2028-0003)", "3", "3.00")]
    account.void_event("acme", "leap")
    assert account.notes("acme") == [("CN-2028-0001", "2028-0002", "1.00")]
    # A void invoice of late usage alone is made again: to forgive it, one credits it.
    account.post("invoices/2028-0004/void", {"reason": "Let it be."}, expect=200)
    account.work()
    again = account.invoice("2028-0005")
    assert (again["total"], again["is_correction"], again["due_on"]) == ("3.00", True, "2028-06-03")
    account.post("invoices/2028-0005/credit-notes", {"reason": "Let it be."})
    account.work()
    assert [one["number"] for one in account.invoices("acme")][3:] == ["2028-0004", "2028-0005"]
    assert account.owed("acme") == 129
    account.at("2028-07-01T12:00+01:00")
    assert len(account.invoices("acme")) == 5


def test_a_change_on_the_first_of_the_month_leaves_no_day_of_the_old_plan(account: Account) -> None:
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "31"))
    account.plan("Pro", {"Calls": per_unit("0.5")}, fee("base", "60"))
    account.customer("acme", "America/New_York")
    basic = account.assign("acme", "Basic", "2028-03-01")
    account.use("acme", "Calls", 10, "2028-03-31T23:59:59.999999-04:00")
    account.use("acme", "Calls", 10, "2028-04-01T09:00-04:00")
    assert [one["status"] for one in account.invoices("acme")] == ["grace", "open"]
    account.post(f"assignments/{basic}/change-plan", {"plan": "Pro", "when": "now"})
    account.work()
    assert [(one["plan"], one["status"], one["number"], one["total"]) for one in account.invoices("acme")] == [
        ("Basic", "grace", "", "41.00"),
        ("Basic", "void", "", "41.00"),
        ("Pro", "open", "", "65.00"),
    ]
    # March keeps the end of its grace, and its price.
    account.use("acme", "Calls", 1, "2028-03-31T12:00-04:00")
    account.at("2028-04-02T00:00-04:00")
    assert account.documents("acme")[0] == ("2028-0001", "final", "42.00", "2028-04-16", "42.00")
    account.use("acme", "Calls", 2, "2028-03-31T13:00-04:00")
    account.at("2028-05-02T00:00-04:00")
    assert lines(account.invoice("2028-0002")) == [
        ("Calls", "10", "5.00"),
        ("Base", "1", "60.00"),
        ("Calls, 1–31 Mar 2028 (2028-0001)", "2", "2.00"),
    ]
    assert account.owed("acme") == 109
