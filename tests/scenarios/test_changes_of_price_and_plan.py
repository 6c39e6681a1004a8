"""Prices change while customers go on, and a customer changes its plan in the middle of a month."""

from typing import Any

import pytest

from tests.scenarios.account import Account, fee, lines, per_unit

VAT = {"key": "vat", "name": "VAT", "percent": "19", "is_default": True}
SETUP = fee("setup", "99", kind="one_time")


def seats(amount: str) -> dict[str, Any]:
    return fee("seats", amount, quantity="3", unit="seats")


@pytest.fixture
def account(account: Account) -> Account:
    account.at("2027-08-20T12:00+02:00")
    account.meter("Calls", "calls")
    return account


def test_a_price_and_a_plan_change(account: Account) -> None:
    account.post("tax-rates", VAT)
    free = {"included_units": "1000"}
    account.plan("Basic", {"Calls": per_unit("0.02", **free)}, fee("base", "30"), seats("10"), SETUP)
    tiers = [{"up_to": "1000", "unit_price": "0.02"}, {"up_to": None, "unit_price": "0.01"}]
    pro = {"parameters": {"model": "graduated", "tiers": tiers}, "prorated": True}
    account.plan("Pro", {"Calls": pro}, fee("base", "90"), seats("12"), fee("onboarding", "50", kind="one_time"))
    account.customer("acme", "Europe/Berlin")
    basic = account.assign("acme", "Basic", "2027-09-01")

    # September: 4,000 calls beyond the free ones, and all that is charged once. 19% of 239.00.
    account.use("acme", "Calls", 5_000, "2027-09-10T12:00+02:00")
    account.at("2027-10-02T00:00+02:00")
    september = account.invoice("2027-0001")
    assert lines(september) == [
        ("Calls", "5000", "80.00"),
        ("Base", "1", "30.00"),
        ("Seats", "3", "30.00"),
        ("Setup", "1", "99.00"),
        ("VAT", None, "45.41"),
    ]
    assert (september["total"], september["due_on"]) == ("284.41", "2027-10-16")
    account.pay("2027-0001", "284.41", "TX-1")
    assert account.owed("acme") == 0

    # October: new prices are for November on. Two more seats on the 15th.
    account.at("2027-10-15T09:00+02:00")
    account.plan("Basic", {"Calls": per_unit("0.03", **free)}, fee("base", "60"), seats("10"), SETUP)
    seated = {"fee_key": "seats", "quantity": "5", "starts_on": "2027-10-15"}
    account.post(f"assignments/{basic}/quantities", seated, expect=200)
    account.use("acme", "Calls", 1_500, "2027-10-20T12:00+02:00")
    # The clock goes back on the 31st, so that the month ends at eleven in the evening of UTC.
    account.use("acme", "Calls", 500, "2027-10-31T23:59:59.999999+01:00")
    assert account.live("acme")["period_end"] == "2027-10-31T23:00:00Z"
    account.use("acme", "Calls", 1_200, "2027-11-01T00:00+01:00")
    account.at("2027-11-02T00:00+01:00")
    # 14 days with three seats and 17 with five: 10 x 127 / 31 = 40.967. 19% of 90.97 = 17.2843.
    october = account.invoice("2027-0002")
    assert (october["plan_version"], lines(october)) == (
        1,
        [("Calls", "2000", "20.00"), ("Base", "1", "30.00"), ("Seats", "5", "40.97"), ("VAT", None, "17.28")],
    )
    assert (october["total"], october["due_on"]) == ("108.25", "2027-11-16")
    account.pay("2027-0002", "108.25", "TX-2")
    assert account.owed("acme") == 0

    # November: to the other plan from the 11th on, all of that day.
    account.use("acme", "Calls", 300, "2027-11-10T23:59:59.999999+01:00")
    account.use("acme", "Calls", 2_000, "2027-11-11T00:00+01:00")
    account.at("2027-11-11T15:00+01:00")
    # As if all of November were Basic: 2,500 x 0.03 = 75, 60 and 5 x 10; 185.00 and 19%.
    assert account.live("acme")["total"] == "220.15"
    account.post(f"assignments/{basic}/change-plan", {"plan": "Pro", "when": "now"})
    account.work()
    stub, running = account.invoices("acme")[2:]
    assert (stub["status"], stub["period_end"]) == ("grace", "2027-11-10T23:00:00Z")
    # The end was set when it was past, a second after three: the whole grace time is left from then on.
    assert (stub["closes_at"], running["period_start"]) == ("2027-11-12T14:00:01Z", "2027-11-10T23:00:00Z")
    account.at("2027-11-12T15:00:01+01:00")
    # 10 of 30 days at the new prices: 60 / 3, and 5 x 10 / 3 = 16.67. 1,500 calls, of which all 1,000 are free.
    # 19% of 51.67 = 9.8173.
    stub = account.invoice("2027-0003")
    assert (stub["plan"], stub["plan_version"], lines(stub)) == (
        "Basic",
        2,
        [("Calls", "1500", "15.00"), ("Base", "1", "20.00"), ("Seats", "5", "16.67"), ("VAT", None, "9.82")],
    )
    assert (stub["total"], stub["due_on"]) == ("61.49", "2027-11-26")
    # October's calls cost what they cost in October.
    account.at("2027-11-20T12:00+01:00")
    account.use("acme", "Calls", 500, "2027-10-21T12:00+02:00")
    account.use("acme", "Calls", 1_000, "2027-11-30T23:59:59.999999+01:00")
    account.at("2027-12-02T00:00+01:00")
    # 20 of 30 days. The first tier is 666.67 of 3,000 calls: 13.33 + 23.33 = 36.67. Seats go on: 5 x 12 x 20 / 30.
    # 19% of 186.67 = 35.4673. Of October: 500 x 0.02, and 19.18 of tax on 100.97 in place of 17.28.
    november = account.invoice("2027-0004")
    assert (november["plan"], lines(november)) == (
        "Pro",
        [
            ("Calls", "3000", "36.67"),
            ("Base", "1", "60.00"),
            ("Seats", "5", "40.00"),
            ("Onboarding", "1", "50.00"),
            ("VAT", None, "35.47"),
            ("Calls, 1–31 Oct 2027 (2027-0002)", "500", "10.00"),
            ("VAT, 1–31 Oct 2027 (2027-0002)", None, "1.90"),
        ],
    )
    assert (november["subtotal"], november["total"], november["due_on"]) == ("196.67", "234.04", "2027-12-16")
    assert account.documents("acme")[:4] == [
        ("2027-0001", "final", "284.41", "2027-10-16", "0.00"),
        ("2027-0002", "final", "108.25", "2027-11-16", "0.00"),
        ("2027-0003", "final", "61.49", "2027-11-26", "61.49"),
        ("2027-0004", "final", "234.04", "2027-12-16", "234.04"),
    ]
    assert str(account.owed("acme")) == "295.53"
    assert [account.statement("acme", month) for month in ("2027-10", "2027-11", "2027-12")] == [
        ("0.00", [("2027-0001", "284.41"), ("2027-0001", "-284.41")], "0.00"),
        ("0.00", [("2027-0002", "108.25"), ("2027-0002", "-108.25"), ("2027-0003", "61.49")], "61.49"),
        ("61.49", [("2027-0004", "234.04")], "295.53"),
    ]
    # What is on a final invoice stays: the change cannot be made for an earlier day now.
    refused = account.post(f"assignments/{basic}/end", {"ends_on": "2027-11-05"}, expect=400)
    assert "2027-0003" in refused["errors"][0]["detail"]


def test_some_stay_on_a_version_until_one_moves_them(account: Account) -> None:
    """docs/plans.md, "Versions": the table."""
    account.plan("Basic", {"Calls": per_unit("0")}, fee("base", "30"), default=True)
    account.at("2027-09-01T00:00Z")
    account.customer("early")
    account.at("2027-09-15T12:00Z")
    account.plan("Basic", {"Calls": per_unit("0")}, fee("base", "60"), stay=True)
    account.at("2027-09-21T12:00Z")
    account.customer("later")
    account.at("2027-10-15T12:00Z")
    account.plan("Basic", {"Calls": per_unit("0")}, fee("base", "120"))
    for moment in ("2027-11-02T00:00Z", "2027-12-02T00:00Z"):
        account.at(moment)

    def bills(customer: str) -> list[tuple[int, str, str]]:
        final = [one for one in account.invoices(customer) if one["status"] == "final"]
        return [(one["plan_version"], one["period_start"][:10], one["total"]) for one in final]

    assert bills("early") == [(1, "2027-09-01", "30.00"), (1, "2027-10-01", "30.00"), (3, "2027-11-01", "120.00")]
    # From the 21st on 10 of 30 days.
    assert bills("later") == [(2, "2027-09-21", "20.00"), (2, "2027-10-01", "60.00"), (3, "2027-11-01", "120.00")]
    assert (account.owed("early"), account.owed("later")) == (180, 200)


def test_a_change_at_the_end_of_the_month_splits_none(account: Account) -> None:
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "30"))
    account.plan("Pro", {"Calls": per_unit("0.5")}, fee("base", "58"))
    account.customer("acme", "Pacific/Auckland")
    basic = account.assign("acme", "Basic", "2028-01-15")
    account.at("2028-01-31T09:00+13:00")
    account.post(f"assignments/{basic}/change-plan", {"plan": "Pro", "when": "period_end"})
    account.use("acme", "Calls", 10, "2028-01-31T23:59:59.999999+13:00")
    account.use("acme", "Calls", 10, "2028-02-01T00:00+13:00")
    account.use("acme", "Calls", 10, "2028-02-29T23:59:59.999999+13:00")
    account.at("2028-03-02T00:00+13:00")
    # 17 of 31 days: 30 less 13.55 for the 14 days before. February is whole.
    assert [(one["plan"], lines(one)) for one in account.invoices("acme")[:2]] == [
        ("Basic", [("Calls", "10", "10.00"), ("Base", "1", "16.45")]),
        ("Pro", [("Calls", "20", "10.00"), ("Base", "1", "58.00")]),
    ]
