"""Prepaid credit: three grants, one that runs out of time, and all of them in the middle of a bill."""

from collections import defaultdict
from decimal import Decimal

import pytest

from tests.invoices.prepaid import check_ledger
from tests.scenarios.account import Account, lines, money, per_unit


@pytest.fixture
def account(account: Account) -> Account:
    """A dollar a call and a dollar a gigabyte, and 10% of tax."""
    account.at("2027-09-28T12:00Z")
    account.meter("Calls", "calls")
    account.meter("Storage", "GB")
    account.plan("Basic", {"Calls": per_unit("1"), "Storage": per_unit("1")})
    account.post("tax-rates", {"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
    account.customer("acme")
    account.assign("acme", "Basic", "2027-10-01")
    return account


def grant(account: Account, name: str, amount: str, **fields: object) -> None:
    account.post("credits", {"customer": "acme", "name": name, "currency": "USD", "amount": amount, **fields})


def left(account: Account) -> dict[str, str]:
    """What is left of each grant."""
    return {one["name"]: one["left"] for one in reversed(account.get("credits", customer="acme")["data"])}


def drawn(account: Account, number: str) -> list[tuple[str, str]]:
    """What moved credits for an invoice, in order."""
    entries = account.get("credit-entries", customer="acme", invoice=str(account.invoice(number)["id"]))["data"]
    return [(one["kind"], one["amount"]) for one in reversed(entries)]


def low_since(account: Account) -> str | None:
    since: str | None = account.get("credit-rules/acme")["told_at"]
    return since


def test_credits_run_out_in_the_middle_of_a_bill(account: Account) -> None:
    grant(account, "Storage pack", "40", product_items=["Storage"])
    grant(account, "Starter", "100", price_paid="80")
    grant(account, "Welcome", "30", priority=10, expires_at="2027-11-20T00:00:00Z")
    rule = {"currency": "USD", "low_below": "25", "top_up": "100"}
    assert account.client.put("/v1/credit-rules/acme", rule, format="json").status_code == 200

    # October: 40 of calls, 10 of storage, 5 of tax. Welcome is first and pays what the pack cannot: 30 of the calls'
    # 44. The pack pays storage with its tax, Starter the rest.
    account.use("acme", "Calls", 40, "2027-10-10T12:00Z")
    account.use("acme", "Storage", 10, "2027-10-11T12:00Z")
    account.at("2027-11-02T00:00Z")
    assert account.documents("acme")[0] == ("2027-0001", "final", "55.00", "2027-11-16", "0.00")
    assert money(account.invoice("2027-0001"))["payment_status"] == "paid"
    assert sorted(drawn(account, "2027-0001")) == [("drawn", "-11.00"), ("drawn", "-14.00"), ("drawn", "-30.00")]
    assert left(account) == {"Storage pack": "29.00", "Starter": "86.00", "Welcome": "0.00"}
    assert low_since(account) is None

    # November: what is granted until the 1st of December, at noon, is over before the bill is final at midnight.
    account.at("2027-11-05T12:00Z")
    grant(account, "Winter", "50", expires_at="2027-12-01T12:00:00Z")
    account.use("acme", "Storage", 20, "2027-11-10T12:00Z")
    account.use("acme", "Calls", 80, "2027-11-18T12:00Z")
    # 110.00 so far. The pack pays 22 of storage, Starter 86 of 88. 7 of the pack and Winter are left: 57.
    assert low_since(account) is None
    account.use("acme", "Calls", 20, "2027-11-25T12:00Z")
    # 132.00. There are 29, 86 and 50; but Winter is over when the bill is final, so it would pay none of it.
    found = account.get("credit-balances/acme")
    assert (found["balances"][0]["amount"], found["balances"][0]["restricted"]) == ("165.00", "29.00")
    assert [(one["name"], one["amount"]) for one in found["estimates"][0]["drawn"]] == [
        ("Storage pack", "22.00"),
        ("Starter", "86.00"),
    ]
    account.at("2027-12-01T11:59:59Z")
    assert left(account)["Winter"] == "50.00"
    account.at("2027-12-01T12:00Z")
    assert left(account)["Winter"] == "0.00"
    assert low_since(account) == "2027-12-01T12:00:00Z"  # 7 are left once the bill is paid
    account.at("2027-12-02T00:00Z")
    assert left(account) == {"Storage pack": "7.00", "Starter": "0.00", "Welcome": "0.00", "Winter": "0.00"}
    assert money(account.invoice("2027-0002")) == {
        "total": "132.00",
        "credits_applied": "108.00",
        "credited": "0.00",
        "paid": "0.00",
        "written_off": "0.00",
        "amount_due": "24.00",
        "payment_status": "partly",
    }
    assert str(account.owed("acme")) == "24.00"

    # December: the customer tops up, and the message comes twice.
    account.at("2027-12-05T12:00Z")
    topped = {"customer": "acme", "name": "Top-up", "currency": "USD", "amount": "100", "source": "top_up"}
    account.post("credits", topped | {"reference": "TX-1"})
    account.post("credits", topped | {"reference": "TX-1"}, expect=200)
    assert (left(account)["Top-up"], low_since(account)) == ("100.00", None)
    # 40 of November's calls are credited, 44 with tax. 24 were not paid yet; 20 go back to where they came from last.
    credited = {"reason": "An outage.", "lines": [{"position": 1, "amount": "40"}]}
    account.post("invoices/2027-0002/credit-notes", credited)
    assert drawn(account, "2027-0002")[-1] == ("returned", "20.00")
    assert left(account)["Starter"] == "20.00"
    assert money(account.invoice("2027-0002"))["amount_due"] == "0.00"
    account.use("acme", "Storage", 20, "2027-12-20T12:00Z")
    account.at("2028-01-02T00:00Z")
    # 22.00, all of it storage: the pack's last 7, then Starter, which is older than the top-up.
    assert lines(account.invoice("2028-0001")) == [
        ("Calls", "0", "0.00"),
        ("Storage", "20", "20.00"),
        ("VAT", None, "2.00"),
    ]
    assert left(account) == {
        "Storage pack": "0.00",
        "Starter": "5.00",
        "Welcome": "0.00",
        "Winter": "0.00",
        "Top-up": "100.00",
    }
    assert account.documents("acme")[:3] == [
        ("2027-0001", "final", "55.00", "2027-11-16", "0.00"),
        ("2027-0002", "final", "132.00", "2027-12-16", "0.00"),
        ("2028-0001", "final", "22.00", "2028-01-16", "0.00"),
    ]
    assert account.owed("acme") == 0
    # Of 320.00 that were granted 50.00 have expired and 105.00 are left; 165.00 have paid 209.00 less the credit note.
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for entry in account.get("credit-entries", customer="acme", limit="100")["data"]:
        moved[entry["kind"]] += Decimal(entry["amount"])
    assert account.statement("acme", "2027-11") == (
        "0.00",
        [("2027-0001", "55.00"), *[("2027-0001", amount) for amount in ("-30.00", "-11.00", "-14.00")]],
        "0.00",
    )
    assert account.statement("acme", "2027-12")[1:] == (
        [
            *[("2027-0002", "132.00"), ("2027-0002", "-22.00"), ("2027-0002", "-86.00")],
            *[("CN-2027-0001", "-44.00"), ("2027-0002", "20.00")],
        ],
        "0.00",
    )
    assert moved == {"granted": 320, "drawn": -185, "returned": 20, "expired": -50}
    check_ledger()


def test_what_was_paid_ahead_comes_back_from_a_void_invoice(account: Account) -> None:
    grant(account, "Starter", "30")
    account.use("acme", "Calls", 20, "2027-10-10T12:00Z", id="wrong")
    account.at("2027-11-02T00:00Z")
    assert (left(account), account.invoice("2027-0001")["amount_due"]) == ({"Starter": "8.00"}, "0.00")
    account.at("2027-11-03T12:00Z")
    account.post("invoices/2027-0001/void", {"reason": "All of it was a test."}, expect=200)
    assert drawn(account, "2027-0001") == [("drawn", "-22.00"), ("returned", "22.00")]
    assert left(account) == {"Starter": "30.00"}

    # A month that comes to less than nothing becomes credit, which the next one draws.
    account.at("2027-11-04T12:00Z")
    account.post("invoices/2027-0001/reissue", {"reason": "Not all of it."})
    account.work()
    assert (left(account), account.invoice("2027-0002")["amount_due"]) == ({"Starter": "8.00"}, "0.00")
    account.void_event("acme", "wrong")
    assert account.live("acme")["total"] == "-22.00"
    account.at("2027-12-02T00:00Z")
    assert account.documents("acme")[1] == ("2027-0003", "final", "-22.00", "2027-12-16", "0.00")
    assert left(account) == {"Starter": "8.00", "From invoice 2027-0003": "22.00"}
    account.use("acme", "Calls", 30, "2027-12-24T12:00Z")
    account.at("2028-01-02T00:00Z")
    # 33.00: Starter, which is older, then the other.
    assert left(account) == {"Starter": "0.00", "From invoice 2027-0003": "0.00"}
    assert account.invoice("2028-0001")["amount_due"] == "3.00"
    check_ledger()
