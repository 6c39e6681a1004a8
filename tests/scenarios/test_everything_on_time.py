"""Two customers use the same. What one of them uses is known in time; the other's comes late, or was wrong."""

from decimal import Decimal

import pytest

from tests.scenarios.account import Account, fee, lines, per_unit

IN_ALL = Decimal("431.96")


@pytest.fixture
def account(account: Account) -> Account:
    """Two plans; 15% of tax; a fifth off, of 12 dollars in all."""
    account.at("2027-12-30T12:00-03:30")
    account.meter("Calls", "calls")
    basic = per_unit("0.10", included_units="100")
    account.plan("Basic", {"Calls": basic}, fee("base", "31"), minimum="60")
    account.plan("Pro", {"Calls": per_unit("0.05")}, fee("base", "58"))
    account.post("tax-rates", {"key": "vat", "name": "VAT", "percent": "15", "is_default": True})
    account.post("promotions", {"key": "fifth", "name": "A fifth", "percent": "20", "cap": "12", "currency": "USD"})
    for customer in ("prompt", "late"):
        account.customer(customer, "America/St_Johns")
        given = {"customer": customer, "promotion": "fifth", "starts_on": "2028-01-01"}
        account.post("applied-promotions", given)
        assignment = account.assign(customer, "Basic", "2028-01-01")
        # On the 10th of February they change to the other plan, which is 20 of that month's 29 days.
        account.post(f"assignments/{assignment}/change-plan", {"plan": "Pro", "when": "2028-02-10"})
    return account


def test_the_documents_come_to_the_same(account: Account) -> None:
    # January: 500 calls.
    account.use("prompt", "Calls", 500, "2028-01-10T12:00-03:30")
    account.use("late", "Calls", 200, "2028-01-10T12:00-03:30")
    account.at("2028-02-01T12:00-03:30")
    account.use("late", "Calls", 100, "2028-01-31T23:59:59.999999-03:30")
    account.at("2028-02-02T00:00-03:30")
    # 40 + 31, of which a fifth is more than 12; and the minimum of 60. Or 20 + 31, 10.20 off, and the same minimum.
    assert [lines(account.invoices(customer)[0]) for customer in ("prompt", "late")] == [
        [*_usage("500", "40.00", "31.00"), ("A fifth", None, "-12.00"), ("Minimum", None, "1.00"), _vat("9.00")],
        [*_usage("300", "20.00", "31.00"), ("A fifth", None, "-10.20"), ("Minimum", None, "19.20"), _vat("9.00")],
    ]

    # February: 300 calls before the change, and 1,000 after it.
    account.use("prompt", "Calls", 300, "2028-02-05T12:00-03:30")
    account.at("2028-02-11T00:00-03:30")
    # 9 of 29 days: 31 x 9 / 29 = 9.62, and the minimum is 18.62. The cap has nothing left for one, 1.80 for the other.
    assert [lines(account.invoices(customer)[1]) for customer in ("prompt", "late")] == [
        [*_usage("300", "20.00", "9.62"), _vat("4.44")],
        [*_usage("0", "0.00", "9.62"), ("A fifth", None, "-1.80"), ("Minimum", None, "10.80"), _vat("2.79")],
    ]
    account.at("2028-02-15T12:00-03:30")
    account.use("late", "Calls", 200, "2028-01-10T13:00-03:30")
    account.at("2028-02-20T12:00-03:30")
    account.plan("Pro", {"Calls": per_unit("0.04")}, fee("base", "58"))  # from March on
    account.use("prompt", "Calls", 1_000, "2028-02-29T23:59:59.999999-03:30")
    account.send("late", "Calls", 900, "2028-02-29T23:59:59.999999-03:30")
    account.send("late", "Calls", 300, "2028-02-29T23:59:59.999999-03:30", id="wrong")
    account.at("2028-03-02T00:00-03:30")
    # January has taken all of the cap by now, so that February has to give its part of it back.
    january, stub = "1–31 Jan 2028 (2028-0002)", "1–9 Feb 2028 (2028-0004)"
    assert [lines(account.invoices(customer)[2]) for customer in ("prompt", "late")] == [
        [*_usage("1000", "50.00", "40.00"), _vat("13.50")],
        [
            *_usage("1200", "60.00", "40.00"),
            _vat("15.00"),
            (f"Calls, {january}", "200", "20.00"),
            (f"A fifth, {january}", None, "-1.80"),
            (f"Minimum, {january}", None, "-18.20"),
            (f"Minimum, {stub}", None, "-1.80"),
            (f"A fifth, {stub}", None, "1.80"),
        ],
    ]

    # March: 2,000 calls. What comes late of February is made up for at once.
    account.at("2028-03-10T12:00-03:30")
    account.patch("billing-policy", late_usage="at_once")
    account.use("late", "Calls", 100, "2028-02-29T12:00-03:30")
    assert account.documents("late")[4] == ("2028-0007", "final", "5.75", "2028-03-24", "5.75")
    account.void_event("late", "wrong")
    assert account.notes("late") == [("CN-2028-0001", "2028-0006", "17.25")]
    account.use("late", "Calls", 300, "2028-02-05T12:00-03:30")
    # 20.00, and no minimum any more: 29.62 in place of 18.62, and 15% of the 11.00.
    assert lines(account.invoice("2028-0008")) == [
        (f"Calls, {stub}", "300", "20.00"),
        (f"Minimum, {stub}", None, "-9.00"),
        (f"VAT, {stub}", None, "1.65"),
    ]
    account.patch("billing-policy", late_usage="next")
    account.use("prompt", "Calls", 2_000, "2028-03-31T23:59:59.999999-02:30")
    account.send("late", "Calls", 1_500, "2028-03-31T23:59:59.999999-02:30")
    account.at("2028-04-02T00:00-02:30")
    assert [account.owed(customer) for customer in ("prompt", "late")] == [Decimal("365.26"), Decimal("342.26")]

    # April: nothing, but for what March lacks: 500 x 0.04, and 3.00.
    account.at("2028-04-05T12:00-02:30")
    account.use("late", "Calls", 500, "2028-03-15T12:00-02:30")
    account.at("2028-05-02T00:00-02:30")
    assert [one[2] for one in account.documents("prompt") if one[0]] == ["69.00", "34.06", "103.50", "158.70", "66.70"]
    assert [one[2] for one in account.documents("late") if one[0]] == [
        *["69.00", "21.41", "115.00", "135.70"],
        *["5.75", "12.65", "89.70"],
    ]
    assert account.owed("prompt") == account.owed("late") == IN_ALL
    assert account.statement("late", "2028-05")[2] == account.statement("prompt", "2028-05")[2] == str(IN_ALL)


def _usage(calls: str, amount: str, base: str) -> list[tuple[str, str | None, str]]:
    return [("Calls", calls, amount), ("Base", "1", base)]


def _vat(amount: str) -> tuple[str, None, str]:
    return "VAT", None, amount
