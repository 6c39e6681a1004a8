"""What was billed and is taken back: payments, a refund, credit notes, void, another one in its place."""

import pytest

from tests.scenarios.account import Account, fee, lines, money, per_unit


@pytest.fixture
def account(account: Account) -> Account:
    """A dollar a call, twenty a month, 19% of tax."""
    account.at("2027-04-28T12:00Z")
    account.meter("Calls", "calls")
    account.plan("Basic", {"Calls": per_unit("1")}, fee("base", "20"))
    account.post("tax-rates", {"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    account.customer("acme")
    account.assign("acme", "Basic", "2027-05-01")
    return account


def test_paid_credited_void_and_issued_anew(account: Account) -> None:
    # May: 100 + 20, and 22.80 of tax.
    account.use("acme", "Calls", 100, "2027-05-12T12:00Z")
    account.at("2027-06-02T00:00Z")
    assert account.documents("acme")[0] == ("2027-0001", "final", "142.80", "2027-06-16", "142.80")
    # The bank's message comes twice.
    paid = {"amount": "142.80", "reference": "TX-1", "paid_on": "2027-06-01"}
    account.post("invoices/2027-0001/payments", paid)
    account.post("invoices/2027-0001/payments", paid, expect=200)
    assert money(account.invoice("2027-0001"))["payment_status"] == "paid"
    assert account.owed("acme") == 0

    # June. Five calls of May are forgiven: 5.00, and 0.95 of tax, which goes back to the customer.
    account.at("2027-06-12T12:00Z")
    credited = {"reason": "An outage on 12 May.", "lines": [{"position": 1, "amount": "5"}]}
    note = account.post("invoices/2027-0001/credit-notes", credited)
    assert [(line["name"], line["amount"]) for line in note["lines"]] == [("Calls", "5.00"), ("VAT", "0.95")]
    assert account.invoice("2027-0001")["amount_due"] == "-5.95"
    refund = {"kind": "refund", "amount": "5.95", "reference": "TX-2"}
    account.post("invoices/2027-0001/payments", refund)
    account.use("acme", "Calls", 50, "2027-06-20T12:00Z")
    account.at("2027-07-02T00:00Z")
    # The credit note does not come back as usage. 50 + 20, and 13.30.
    assert lines(account.invoice("2027-0002")) == [
        ("Calls", "50", "50.00"),
        ("Base", "1", "20.00"),
        ("VAT", None, "13.30"),
    ]
    assert account.documents("acme")[:2] == [
        ("2027-0001", "final", "142.80", "2027-06-16", "0.00"),
        ("2027-0002", "final", "83.30", "2027-07-16", "83.30"),
    ]
    assert str(account.owed("acme")) == "83.30"

    # July. Twenty calls of June come late, and July has them, until June is issued anew.
    account.at("2027-07-04T12:00Z")
    account.use("acme", "Calls", 20, "2027-06-28T12:00Z")
    assert lines(account.live("acme"))[3:] == [
        ("Calls, 1–30 Jun 2027 (2027-0002)", "20", "20.00"),
        ("VAT, 1–30 Jun 2027 (2027-0002)", None, "3.80"),
    ]
    account.pay("2027-0002", "50.00", "TX-3")
    account.at("2027-07-05T12:00Z")
    assert account.post("invoices/2027-0002/reissue", {"reason": "A wrong address."})["status"] == "grace"
    account.work()
    june = account.invoices("acme")[3]
    assert (june["number"], june["status"], june["replaces"]) == ("2027-0003", "final", "2027-0002")
    assert lines(june) == [("Calls", "70", "70.00"), ("Base", "1", "20.00"), ("VAT", None, "17.10")]
    assert lines(account.live("acme")) == [("Calls", "0", "0.00"), ("Base", "1", "20.00"), ("VAT", None, "3.80")]
    # What was paid for the void one is owed back. It is transferred: out of one and into the other.
    assert account.invoice("2027-0002")["amount_due"] == "-50.00"
    account.post("invoices/2027-0002/payments", {"kind": "refund", "amount": "50", "reference": "TX-4"})
    account.pay("2027-0003", "50.00", "TX-4")
    # It was issued on the 5th, and has its 14 days from then.
    account.at("2027-07-19T23:59:59Z")
    assert account.overdue() == []
    account.at("2027-07-20T00:00Z")
    assert account.overdue() == ["2027-0003"]
    # July has nothing of June any more: 30 + 20, and 9.50.
    account.use("acme", "Calls", 30, "2027-07-20T12:00Z")
    account.at("2027-08-02T00:00Z")
    assert lines(account.invoice("2027-0004")) == [
        ("Calls", "30", "30.00"),
        ("Base", "1", "20.00"),
        ("VAT", None, "9.50"),
    ]
    assert str(account.owed("acme")) == "116.60"  # 57.10 of June, and July

    # August. July was for free, as had been agreed on: its period has no invoice then.
    account.pay("2027-0004", "20.00", "TX-5")
    account.post("invoices/2027-0004/void", {"reason": "July was for free."}, expect=200)
    account.post("invoices/2027-0004/payments", {"kind": "refund", "amount": "20", "reference": "TX-6"})
    # Some of June is given up, and then all of it is paid.
    written_off = {"reason": "Not worth a lawyer.", "amount": "30.00"}
    account.post("invoices/2027-0003/write-off", written_off)
    assert money(account.invoice("2027-0003"))["amount_due"] == "27.10"
    account.pay("2027-0003", "57.10", "TX-7")
    assert money(account.invoice("2027-0003")) == {
        "total": "107.10",
        "credits_applied": "0.00",
        "credited": "0.00",
        "paid": "107.10",
        "written_off": "0.00",
        "amount_due": "0.00",
        "payment_status": "paid",
    }
    account.at("2027-08-15T12:00Z")
    assert account.documents("acme") == [
        ("2027-0001", "final", "142.80", "2027-06-16", "0.00"),
        ("2027-0002", "void", "83.30", "2027-07-16", "0.00"),
        ("2027-0004", "void", "59.50", "2027-08-16", "0.00"),
        ("2027-0003", "final", "107.10", "2027-07-19", "0.00"),
        ("", "open", "23.80", None, "23.80"),
    ]
    assert account.notes("acme") == [
        ("CN-2027-0001", "2027-0001", "5.95"),
        ("CN-2027-0002", "2027-0002", "83.30"),
        ("CN-2027-0003", "2027-0004", "59.50"),
    ]
    assert account.owed("acme") == 0
    assert account.statement("acme", "2027-06") == (
        "0.00",
        [("2027-0001", "142.80"), ("2027-0001", "-142.80"), ("CN-2027-0001", "-5.95"), ("2027-0001", "5.95")],
        "0.00",
    )
    july = [
        *[("2027-0002", "83.30"), ("2027-0002", "-50.00"), ("2027-0002", "0.00"), ("CN-2027-0002", "-83.30")],
        *[("2027-0003", "107.10"), ("2027-0002", "50.00"), ("2027-0003", "-50.00")],
    ]
    assert account.statement("acme", "2027-07") == ("0.00", july, "57.10")
    august = [
        *[("2027-0004", "59.50"), ("2027-0004", "-20.00"), ("2027-0004", "0.00"), ("CN-2027-0003", "-59.50")],
        # Given up, paid after all, and so not given up any more.
        *[("2027-0004", "20.00"), ("2027-0003", "-30.00"), ("2027-0003", "-57.10"), ("2027-0003", "30.00")],
    ]
    assert account.statement("acme", "2027-08") == ("57.10", august, "0.00")


def test_what_comes_late_is_a_document_at_once(account: Account) -> None:
    account.patch("billing-policy", late_usage="at_once", late_ignored_below="5", payment_days=30)
    account.use("acme", "Calls", 80, "2027-05-12T12:00Z")
    account.use("acme", "Calls", 6, "2027-05-13T12:00Z", id="wrong")
    account.at("2027-06-02T00:00Z")
    # 86 + 20, and 20.14 of tax.
    assert account.documents("acme")[0] == ("2027-0001", "final", "126.14", "2027-07-02", "126.14")

    account.at("2027-06-10T12:00Z")
    account.use("acme", "Calls", 4, "2027-05-14T12:00Z")
    # 4.76 with taxes is less than the policy minds.
    assert [account.invoices("acme")[1]["total"], len(account.invoices("acme"))] == ["23.80", 2]
    account.use("acme", "Calls", 1, "2027-05-14T13:00Z")
    # 5.95: 19% of 111.00 are 21.09, which is 0.95 more.
    bill = account.invoice("2027-0002")
    assert lines(bill) == [
        ("Calls, 1–31 May 2027 (2027-0001)", "5", "5.00"),
        ("VAT, 1–31 May 2027 (2027-0001)", None, "0.95"),
    ]
    assert (bill["is_correction"], bill["due_on"], bill["period_start"]) == (True, "2027-07-10", "2027-05-01T00:00:00Z")
    account.at("2027-06-11T12:00Z")
    account.void_event("acme", "wrong")
    # 19% of 105.00 are 19.95: 1.14 less.
    note = account.get("credit-notes/CN-2027-0001")
    assert [(line["name"], line["amount"]) for line in note["lines"]] == [("Calls", "6.00"), ("VAT", "1.14")]

    # June and July have nothing of it.
    account.at("2027-07-02T00:00Z")
    account.at("2027-08-02T00:00Z")
    assert account.documents("acme")[:5] == [
        ("2027-0001", "final", "126.14", "2027-07-02", "119.00"),
        ("2027-0003", "final", "23.80", "2027-08-01", "23.80"),
        ("2027-0002", "final", "5.95", "2027-07-10", "5.95"),
        ("2027-0004", "final", "23.80", "2027-09-01", "23.80"),
        ("", "open", "23.80", None, "23.80"),
    ]
    # 85 calls and 20 a month, three times, and 19%: 145 x 1.19.
    assert str(account.owed("acme")) == "172.55"
