"""A customer in Tokyo on two plans side by side: one in yen, which has no smaller unit, and one in dollars."""

import pytest

from tests.invoices.prepaid import check_ledger
from tests.scenarios.account import Account, fee, lines, per_unit


@pytest.fixture
def account(account: Account) -> Account:
    account.at("2027-09-28T12:00+09:00")
    account.meter("Calls", "calls")
    account.meter("Storage", "GB")
    account.plan("Yen", {"Calls": per_unit("0.333")}, fee("base", "1000"), currency="JPY")
    account.plan("Dollar", {"Storage": per_unit("0.333")}, fee("base", "10"))
    account.post("tax-rates", {"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
    account.customer("acme", "Asia/Tokyo")
    account.assign("acme", "Yen", "2027-10-16")
    account.assign("acme", "Dollar", "2027-10-01")
    return account


def test_each_currency_has_its_own_books(account: Account) -> None:
    account.post("credits", {"customer": "acme", "name": "Yen pack", "currency": "JPY", "amount": "800"})
    account.use("acme", "Calls", 500, "2027-10-20T12:00+09:00")
    account.use("acme", "Storage", 5, "2027-10-21T12:00+09:00")
    account.at("2027-11-02T00:00+09:00")
    # 166.5 is 167; 1,000 less 483.87 for the 15 days before, which is 484; 10% of 683. And 1.665 is 1.67.
    yen, dollars = account.invoice("2027-0001"), account.invoice("2027-0002")
    assert (yen["plan"], lines(yen), yen["total"]) == (
        "Yen",
        [("Calls", "500", "167"), ("Base", "1", "516"), ("VAT", None, "68")],
        "751",
    )
    assert (dollars["plan"], lines(dollars), dollars["total"]) == (
        "Dollar",
        [("Storage", "5", "1.67"), ("Base", "1", "10.00"), ("VAT", None, "1.17")],
        "12.84",
    )
    assert (yen["amount_due"], dollars["amount_due"]) == ("0", "12.84")

    # November: both months get something late, each in its own currency. Nobody pays the dollars with yen.
    account.at("2027-11-10T12:00+09:00")
    account.post("invoices/2027-0002/payments", {"amount": "12.84", "reference": "TX-1"})
    account.use("acme", "Calls", 1, "2027-10-31T23:59:59.999999+09:00")
    account.use("acme", "Storage", 5, "2027-10-31T23:59:59.999999+09:00")
    # From December on the second plan is in euros.
    account.plan("Dollar", {"Storage": per_unit("0.3")}, fee("base", "9"), currency="EUR")
    account.at("2027-12-02T00:00+09:00")
    # 501 x 0.333 = 166.833 is 167 still: nothing but a quantity is different. 3.33 of storage: 1.66 more; 1.33 of tax.
    yen, dollars = account.invoice("2027-0003"), account.invoice("2027-0004")
    assert lines(yen) == [("Calls", "0", "0"), ("Base", "1", "1000"), ("VAT", None, "100")]
    assert [line for line in lines(dollars) if "Oct" in line[0]] == [
        ("Storage, 1–31 Oct 2027 (2027-0002)", "5", "1.66"),
        ("VAT, 1–31 Oct 2027 (2027-0002)", None, "0.16"),
    ]
    assert (dollars["total"], dollars["amount_due"]) == ("12.82", "12.82")
    # 1,100, of which the 49 that are left of the pack pay a part.
    assert (yen["total"], yen["amount_due"], yen["payment_status"]) == ("1100", "1051", "partly")

    # December is in euros. What comes late of November in dollars waits for no invoice.
    account.at("2027-12-10T12:00+09:00")
    account.use("acme", "Storage", 10, "2027-11-20T12:00+09:00")
    at_once = account.invoice("2027-0005")
    assert (at_once["currency"], at_once["is_correction"], lines(at_once)) == (
        "USD",
        True,
        [
            ("Storage, 1–30 Nov 2027 (2027-0004)", "10", "3.33"),
            ("VAT, 1–30 Nov 2027 (2027-0004)", None, "0.33"),
        ],
    )
    account.at("2028-01-02T00:00+09:00")
    euros = next(one for one in account.invoices("acme") if one["currency"] == "EUR")
    assert (euros["status"], euros["total"]) == ("final", "9.90")
    assert [str(account.owed("acme", currency)) for currency in ("JPY", "USD", "EUR")] == ["2151", "16.48", "9.90"]
    assert [account.statement("acme", "2027-12", currency)[::2] for currency in ("JPY", "USD", "EUR")] == [
        ("0", "1051"),
        ("0.00", "16.48"),
        ("0.00", "0.00"),
    ]
    check_ledger()
