"""Invoices that staff hold, approve and hurry, and who carries what came late when one of them is taken back."""

import pytest

from tests.scenarios.account import Account, fee, lines, per_unit


@pytest.fixture
def account(account: Account) -> Account:
    """A dollar a call, ten a month."""
    account.at("2027-08-28T12:00Z")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "10"))
    account.customer("acme")
    account.assign("acme", "Basic", "2027-09-01")
    return account


def by_month(account: Account) -> list[tuple[str, str, str, str]]:
    """Of each invoice its month, state, number and total."""
    return [(one["period_start"][:7], one["status"], one["number"], one["total"]) for one in account.invoices("acme")]


def test_held_released_approved_and_made_final_early(account: Account) -> None:
    account.use("acme", "Calls", 10, "2027-09-10T12:00Z")
    account.at("2027-10-01T12:00Z")
    september = account.invoices("acme")[0]["id"]
    account.post(f"invoices/{september}/hold", {"reason": "The customer asked about a price."}, expect=200)
    account.at("2027-10-02T00:00Z")
    assert by_month(account)[0] == ("2027-09", "grace", "", "20.00")
    # It goes on following usage, long after its grace.
    account.at("2027-10-05T12:00Z")
    account.use("acme", "Calls", 5, "2027-09-30T23:59:59.999999Z")
    assert by_month(account) == [("2027-09", "grace", "", "25.00"), ("2027-10", "open", "", "10.00")]
    # October is final before it, and the earliest that is not carries what comes late of October: the held one.
    account.use("acme", "Calls", 30, "2027-10-20T12:00Z")
    account.at("2027-11-02T00:00Z")
    assert account.documents("acme")[1] == ("2027-0001", "final", "40.00", "2027-11-16", "40.00")
    account.at("2027-11-05T12:00Z")
    account.use("acme", "Calls", 4, "2027-10-31T23:59:59.999999Z")
    account.at("2027-11-10T12:00Z")
    account.post(f"invoices/{september}/release", expect=200)
    account.work()
    assert lines(account.invoice("2027-0002")) == [
        ("Calls", "15", "15.00"),
        ("Base", "1", "10.00"),
        ("Calls, 1–31 Oct 2027 (2027-0001)", "4", "4.00"),
    ]
    assert account.documents("acme")[0] == ("2027-0002", "final", "29.00", "2027-11-24", "29.00")

    # November waits for staff.
    account.patch("billing-policy", needs_approval=True)
    account.use("acme", "Calls", 2, "2027-09-11T12:00Z")
    november = account.live("acme")["id"]
    account.at("2027-11-30T23:59:58Z")
    account.post(f"invoices/{november}/approve", expect=400)  # nobody knows yet what it comes to
    account.at("2027-12-04T12:00Z")
    assert by_month(account)[2:] == [("2027-11", "grace", "", "12.00"), ("2027-12", "open", "", "10.00")]
    account.post(f"invoices/{november}/finalize", expect=400)
    account.post(f"invoices/{november}/approve", expect=200)
    account.work()
    assert account.documents("acme")[2] == ("2027-0003", "final", "12.00", "2027-12-18", "12.00")

    # December is needed by the 1st, in the year that has just begun. What comes an hour later is late.
    account.patch("billing-policy", needs_approval=False)
    account.at("2028-01-01T06:00Z")
    december = account.invoices("acme")[3]["id"]
    account.post(f"invoices/{december}/finalize", expect=200)
    account.at("2028-01-01T07:00Z")
    account.use("acme", "Calls", 1, "2027-12-31T12:00Z")
    assert by_month(account) == [
        ("2027-09", "final", "2027-0002", "29.00"),
        ("2027-10", "final", "2027-0001", "40.00"),
        ("2027-11", "final", "2027-0003", "12.00"),
        ("2027-12", "final", "2028-0001", "10.00"),
        ("2028-01", "open", "", "11.00"),
    ]
    assert account.documents("acme")[3] == ("2028-0001", "final", "10.00", "2028-01-15", "10.00")
    # 15 + 2, 30 + 4 calls and four times ten; January has the one of December.
    assert account.owed("acme") == 91


def test_what_a_void_invoice_carried_is_carried_anew(account: Account) -> None:
    account.use("acme", "Calls", 10, "2027-09-10T12:00Z")
    account.use("acme", "Calls", 3, "2027-09-11T12:00Z", id="wrong")
    account.at("2027-10-02T00:00Z")
    account.at("2027-10-10T12:00Z")
    account.use("acme", "Calls", 5, "2027-09-12T12:00Z")
    account.use("acme", "Calls", 20, "2027-10-10T12:00Z")
    account.at("2027-11-02T00:00Z")
    late = ("Calls, 1–30 Sep 2027 (2027-0001)", "5", "5.00")
    assert by_month(account)[:2] == [
        ("2027-09", "final", "2027-0001", "23.00"),
        ("2027-10", "final", "2027-0002", "35.00"),
    ]
    assert lines(account.invoice("2027-0002")) == [("Calls", "20", "20.00"), ("Base", "1", "10.00"), late]

    # October is taken back. The five calls of September are still owed: November carries them.
    account.at("2027-11-05T12:00Z")
    account.post("invoices/2027-0002/void", {"reason": "The wrong company."}, expect=200)
    account.work()
    assert lines(account.live("acme")) == [("Calls", "0", "0.00"), ("Base", "1", "10.00"), late]
    # It is issued anew after all, and is earlier than November.
    account.at("2027-11-08T12:00Z")
    account.post("invoices/2027-0002/reissue", {"reason": "The right company."})
    account.work()
    assert lines(account.invoice("2027-0003")) == [("Calls", "20", "20.00"), ("Base", "1", "10.00"), late]
    assert lines(account.live("acme")) == [("Calls", "0", "0.00"), ("Base", "1", "10.00")]

    # Nine of September's calls are forgiven: that is not billed again. That three of them never were is a correction,
    # and is made in full.
    account.at("2027-11-10T12:00Z")
    credited = {"reason": "An outage.", "lines": [{"position": 1, "amount": "9"}]}
    account.post("invoices/2027-0001/credit-notes", credited)
    account.work()
    assert account.live("acme")["total"] == "10.00"
    account.void_event("acme", "wrong")
    assert lines(account.live("acme"))[2:] == [("Calls, 1–30 Sep 2027 (2027-0001)", "-3", "-3.00")]
    account.at("2027-12-02T00:00Z")
    assert by_month(account)[:4] == [
        ("2027-09", "final", "2027-0001", "23.00"),
        ("2027-10", "void", "2027-0002", "35.00"),
        ("2027-11", "final", "2027-0004", "7.00"),
        ("2027-10", "final", "2027-0003", "35.00"),
    ]
    assert account.notes("acme") == [("CN-2027-0001", "2027-0002", "35.00"), ("CN-2027-0002", "2027-0001", "9.00")]
    # 15 calls of September less the nine, 20 of October, and three times ten.
    assert account.owed("acme") == 56
