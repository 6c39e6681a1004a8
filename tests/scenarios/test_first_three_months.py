"""Two customers sign up at the same moment, which is another day where each of them is, in a leap year."""

import pytest

from tests.scenarios.account import Account, fee, lines, per_unit

# 5,000 calls a period are free however short it is; 3,100 searches are free in a whole period, and fewer in a part.
CALLS = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
SEARCHES = {"parameters": per_unit("0.01", included_units="3100"), "prorated": True}


@pytest.fixture
def account(account: Account) -> Account:
    account.at("2028-01-03T09:00Z")
    account.meter("Calls", "calls")
    account.meter("Searches", "searches")
    account.plan("Starter", {"Calls": CALLS, "Searches": SEARCHES}, fee("base", "31"), default=True)
    account.at("2028-01-18T04:30Z")  # 23:30 on the 17th in New York, 10:00 on the 18th in Kolkata
    account.customer("york", "America/New_York")
    account.customer("pune", "Asia/Kolkata")
    account.work()
    return account


def january(account: Account) -> None:
    account.use("york", "Calls", 12_300, "2028-01-20T09:00-05:00", id="day")
    account.use("york", "Searches", 2_000, "2028-01-25T09:00-05:00")
    # The bill follows. Of 31 days 15 are charged: 31 x 15 / 31, and 1,500 searches are free. Calls: 8 started blocks.
    assert lines(account.live("york")) == [
        ("Calls", "12300", "40.00"),
        ("Searches", "2000", "5.00"),
        ("Base", "1", "15.00"),
    ]
    account.use("pune", "Calls", 5_000, "2028-01-31T23:59:59.999999+05:30")  # all free
    # It is February in Kolkata, and January in New York for ten and a half hours more.
    account.use("pune", "Calls", 5_001, "2028-02-01T00:00+05:30", id="midnight")
    assert [one["status"] for one in account.invoices("pune")] == ["grace", "open"]
    assert [one["status"] for one in account.invoices("york")] == ["open"]
    account.use("york", "Calls", 1, "2028-02-01T00:00+05:30", id="midnight")
    assert lines(account.live("york"))[0] == ("Calls", "12301", "40.00")

    account.at("2028-02-01T00:00-05:00")
    assert [one["status"] for one in account.invoices("york")] == ["grace", "open"]
    account.at("2028-02-02T00:00+05:30")
    assert account.documents("pune")[0] == ("2028-0001", "final", "14.00", "2028-02-16", "14.00")
    # Late, and in time: 8,101 calls beyond the free ones are 9 started blocks.
    account.at("2028-02-01T20:00-05:00")
    account.use("york", "Calls", 800, "2028-01-31T23:59:59.999999-05:00", id="in grace")
    account.at("2028-02-01T23:59:59-05:00")
    assert account.invoices("york")[0]["status"] == "grace"
    account.at("2028-02-02T00:00-05:00")


def february(account: Account) -> None:
    account.at("2028-02-10T12:00-05:00")
    account.pay("2028-0002", "65.00", "TX-1")
    account.at("2028-02-12T12:00-05:00")
    # Too late for January: 9,101 beyond the free ones are a tenth block.
    account.use("york", "Calls", 1_000, "2028-01-20T10:00-05:00", id="late")
    account.use("york", "Calls", 4_000, "2028-02-28T23:59:59.999999-05:00")
    account.use("york", "Calls", 2_000, "2028-02-29T00:00-05:00")
    account.use("york", "Searches", 3_000, "2028-02-29T23:59:59.999999-05:00")
    account.send("york", "Calls", 7, "2028-03-01T00:00-05:00")  # of March, though it is not yet
    assert [one["status"] for one in account.invoices("york")] == ["final", "open"]
    account.at("2028-03-01T00:00-05:00")
    account.at("2028-03-02T00:00+05:30")
    account.at("2028-03-02T00:00-05:00")


def march(account: Account) -> None:
    # Both February invoices were due on the 16th, which is over in Kolkata first. Pune has paid its own.
    account.pay("2028-0001", "14.00", "TX-2")
    account.at("2028-03-17T00:00+05:30")
    assert account.overdue() == ["2028-0003"]
    account.at("2028-03-16T23:59:59-04:00")
    assert account.overdue() == ["2028-0003"]
    account.at("2028-03-17T00:00-04:00")
    assert account.overdue() == ["2028-0003", "2028-0004"]
    account.pay("2028-0003", "36.00", "TX-3")
    account.pay("2028-0004", "41.00", "TX-4")
    assert account.overdue() == []
    account.at("2028-03-20T12:00-04:00")
    account.void_event("york", "in grace")
    account.use("york", "Searches", 500, "2028-02-29T15:00-05:00")
    # The clock went forward on the 12th: the month ends at four in the morning of UTC.
    account.at("2028-04-01T03:59:59Z")
    assert account.live("york")["status"] == "open"
    account.at("2028-04-01T04:00Z")
    assert [one["status"] for one in account.invoices("york")][2:] == ["grace", "open"]
    account.at("2028-04-02T00:00+05:30")
    account.at("2028-04-02T00:00-04:00")


def test_three_months_in_two_time_zones(account: Account) -> None:
    january(account)
    york = account.invoices("york")[0]
    assert (york["period_start"], york["period_end"]) == ("2028-01-17T05:00:00Z", "2028-02-01T05:00:00Z")
    assert lines(york) == [("Calls", "13101", "45.00"), ("Searches", "2000", "5.00"), ("Base", "1", "15.00")]
    # 14 days from the day on which it became final, which was the 2nd where the customer is.
    assert account.documents("york")[0] == ("2028-0002", "final", "65.00", "2028-02-16", "65.00")
    assert (account.owed("york"), account.owed("pune")) == (65, 14)

    february(account)
    york = account.invoices("york")[1]
    # 29 days are a whole month. The 29th takes the calls beyond the free ones; and there is January's tenth block.
    assert lines(york) == [
        ("Calls", "6000", "5.00"),
        ("Searches", "3000", "0.00"),
        ("Base", "1", "31.00"),
        ("Calls, 17–31 Jan 2028 (2028-0002)", "1000", "5.00"),
    ]
    assert york["lines"][3]["corrects"] == "2028-0002"
    assert account.documents("york")[:2] == [
        ("2028-0002", "final", "65.00", "2028-02-16", "0.00"),
        ("2028-0004", "final", "41.00", "2028-03-16", "41.00"),
    ]
    pune = account.invoices("pune")[1]
    # The calls of the first instant of February: one started block.
    assert lines(pune) == [("Calls", "5001", "5.00"), ("Searches", "0", "0.00"), ("Base", "1", "31.00")]
    assert (pune["number"], pune["total"], pune["due_on"]) == ("2028-0003", "36.00", "2028-03-16")
    assert (account.owed("york"), account.owed("pune")) == (41, 50)

    march(account)
    york = account.invoices("york")[2]
    # Without the 800 calls in January's grace there are 8,301 beyond the free ones, 9 blocks, of which 10 were billed
    # in all. In February 3,500 searches are 400 more than are free.
    assert lines(york) == [
        ("Calls", "7", "0.00"),
        ("Searches", "0", "0.00"),
        ("Base", "1", "31.00"),
        ("Calls, 17–31 Jan 2028 (2028-0002)", "-800", "-5.00"),
        ("Searches, 1–29 Feb 2028 (2028-0004)", "500", "4.00"),
    ]
    assert account.documents("york")[:3] == [
        ("2028-0002", "final", "65.00", "2028-02-16", "0.00"),
        ("2028-0004", "final", "41.00", "2028-03-16", "0.00"),
        ("2028-0006", "final", "30.00", "2028-04-16", "30.00"),
    ]
    assert account.documents("pune")[2] == ("2028-0005", "final", "31.00", "2028-04-16", "31.00")
    assert (account.owed("york"), account.owed("pune")) == (30, 31)
    # Month by month where the customer is: what was owed, what came, what was owed then.
    assert [account.statement("york", f"2028-0{month}") for month in (1, 2, 3, 4)] == [
        ("0.00", [], "0.00"),
        ("0.00", [("2028-0002", "65.00"), ("2028-0002", "-65.00")], "0.00"),
        ("0.00", [("2028-0004", "41.00"), ("2028-0004", "-41.00")], "0.00"),
        ("0.00", [("2028-0006", "30.00")], "30.00"),
    ]
    assert [account.statement("pune", f"2028-0{month}") for month in (2, 3, 4)] == [
        ("0.00", [("2028-0001", "14.00")], "14.00"),
        ("14.00", [("2028-0003", "36.00"), ("2028-0001", "-14.00"), ("2028-0003", "-36.00")], "0.00"),
        ("0.00", [("2028-0005", "31.00")], "31.00"),
    ]
