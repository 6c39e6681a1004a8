"""Payments, credit notes, void, reissue, write-offs and what is overdue, over the API; and who may not."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from invoices.api import settling_examples as documented
from invoices.models import BillingPolicy, CreditNote, Invoice, Payment
from invoices.settling.voiding import void_invoice
from meters.keys import create_api_key
from meters.models import Customer
from tests.factories import make_customer, put_on
from tests.invoices.settled import DECEMBER, fresh, make_bill

pytestmark = pytest.mark.usefixtures("november")

Api = Callable[..., APIClient]


@pytest.fixture
def bill(november: time_machine.Traveller, november_bill: Invoice) -> Invoice:
    november.move_to(DECEMBER)
    return november_bill


@pytest.fixture
def client(api: Api, bill: Invoice) -> APIClient:
    return api("read", "write")


def of_customer(customer: Customer, *scopes: str) -> APIClient:
    _, text = create_api_key(name="own", scopes=scopes or ("read",), customer=customer)
    own = APIClient()
    own.credentials(HTTP_X_API_KEY=text)
    return own


def post(client: APIClient, bill: Invoice, what: str, **body: Any) -> Any:
    return client.post(f"/v1/invoices/{bill.number or bill.pk}/{what}", body, format="json")


def faults(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["pointer"] for error in answer.json()["errors"]]


def money(client: APIClient, bill: Invoice) -> dict[str, str]:
    read = client.get(f"/v1/invoices/{bill.number}").json()
    names = ("credits_applied", "credited", "paid", "written_off", "amount_due", "payment_status")
    return {name: read[name] for name in names}


class TestPayments:
    def test_recorded_once(self, client: APIClient, bill: Invoice) -> None:
        answer = post(client, bill, "payments", **documented.NEW_PAYMENT)
        assert answer.status_code == 201
        told = answer.json()
        assert told == documented.PAYMENT | {"id": told["id"], "created_at": "2026-12-03T09:00:00Z"}
        again = post(client, bill, "payments", **documented.NEW_PAYMENT)
        assert (again.status_code, again.json()) == (200, told)
        assert client.get(f"/v1/invoices/{bill.number}/payments").json()["data"] == [told]
        assert Payment.objects.get().actor == "test"
        assert money(client, bill) == {
            "credits_applied": "0.00",
            "credited": "0.00",
            "paid": "50.00",
            "written_off": "0.00",
            "amount_due": "60.85",
            "payment_status": "partly",
        }
        assert faults(post(client, bill, "payments", **documented.NEW_PAYMENT | {"amount": "51"})) == ["/reference"]

    def test_more_than_is_due_and_back(self, client: APIClient, bill: Invoice) -> None:
        post(client, bill, "payments", amount="120.85", reference="a")
        assert money(client, bill)["amount_due"] == "-10.00"
        back = post(client, bill, "payments", kind="refund", amount="10", reference="b")
        assert (back.status_code, back.json()["amount"], back.json()["kind"]) == (201, "-10.00", "refund")
        assert money(client, bill)["amount_due"] == "0.00"
        assert [one["amount"] for one in client.get(f"/v1/invoices/{bill.pk}/payments").json()["data"]] == [
            "-10.00",
            "120.85",
        ]
        assert faults(post(client, bill, "payments", kind="refund", amount="110.86")) == ["/amount"]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/amount"),
            ({"amount": 1.5}, "/amount"),
            ({"amount": "0"}, "/amount"),
            ({"amount": "-1"}, "/amount"),
            ({"amount": "0.001"}, "/amount"),
            ({"amount": "NaN"}, "/amount"),
            ({"amount": "1", "paid_on": "2026-12-05"}, "/paid_on"),
            ({"amount": "1", "paid_on": "2026-2-1"}, "/paid_on"),
            ({"amount": "1", "kind": "write_off"}, "/kind"),
            ({"amount": "1", "reference": "x" * 201}, "/reference"),
            ({"amount": "1", "currency": "EUR"}, "/currency"),
        ],
    )
    def test_bad_input(self, client: APIClient, bill: Invoice, body: dict, pointer: str) -> None:
        assert faults(post(client, bill, "payments", **body)) == [pointer]
        assert not Payment.objects.exists()

    def test_of_an_estimate(self, client: APIClient, bill: Invoice) -> None:
        put_on(other := make_customer("other"), bill.assignment.plan, bill.period_start.date())
        live = Invoice.objects.filter(customer=other)[0]
        assert faults(post(client, live, "payments", amount="1")) == [""]
        assert client.get("/v1/invoices/2026-9999/payments").status_code == 404


class TestWriteOff:
    def test_of_what_is_due(self, client: APIClient, bill: Invoice) -> None:
        answer = post(client, bill, "write-off", **documented.NEW_WRITE_OFF)
        assert answer.status_code == 201
        told = documented.WRITE_OFF | {"id": answer.json()["id"], "created_at": "2026-12-03T09:00:00Z"}
        assert answer.json() == told
        post(client, bill, "write-off", reason="The rest")
        assert (money(client, bill)["written_off"], money(client, bill)["payment_status"]) == ("110.85", "written_off")
        assert faults(post(client, bill, "write-off", reason="More")) == ["/amount"]
        assert faults(post(client, bill, "write-off")) == ["/reason"]


class TestCreditNotes:
    def test_by_line(self, client: APIClient, bill: Invoice) -> None:
        answer = post(client, bill, "credit-notes", **documented.NEW_CREDIT_NOTE)
        assert answer.status_code == 201
        told = answer.json()
        tax = documented.CREDIT_NOTE["lines"][1] | {"name": "Tax 1"}
        lines = [documented.CREDIT_NOTE["lines"][0], tax]
        assert told == documented.CREDIT_NOTE | {"issued_at": "2026-12-03T09:00:00Z", "lines": lines}
        assert client.get("/v1/credit-notes/CN-2026-0001").json() == told
        assert client.get(f"/v1/invoices/{bill.number}/credit-notes").json()["data"] == [told]
        for query in ({}, {"customer": "acme"}, {"invoice": bill.number}):
            assert client.get("/v1/credit-notes", query).json()["data"] == [told]
        make_customer("other")
        for query in ({"customer": "other"}, {"invoice": "2026-0002"}):
            assert client.get("/v1/credit-notes", query).json()["data"] == []
        assert faults(client.get("/v1/credit-notes", {"what": "1"})) == ["/what"]
        assert client.get("/v1/credit-notes/CN-2026-0002").status_code == 404
        assert CreditNote.objects.get().actor == "test"

    def test_the_whole(self, client: APIClient, bill: Invoice) -> None:
        told = post(client, bill, "credit-notes", reason="All of it").json()
        assert (told["total"], len(told["lines"])) == ("110.85", 4)
        assert money(client, bill)["amount_due"] == "0.00"
        assert faults(post(client, bill, "credit-notes", reason="Again")) == ["/lines"]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/reason"),
            ({"reason": " "}, "/reason"),
            ({"reason": "x", "lines": []}, "/lines"),
            ({"reason": "x", "lines": [{"position": 1}]}, "/lines"),
            ({"reason": "x", "lines": [{"position": 9, "amount": "1"}]}, "/lines"),
            ({"reason": "x", "lines": [{"position": 2, "amount": "1"}, {"position": 2, "amount": "2"}]}, "/lines"),
            ({"reason": "x", "lines": [{"position": 2, "amount": 0.5}]}, "/lines/0/amount"),
            ({"reason": "x", "lines": [{"amount": "1"}]}, "/lines/0/position"),
            ({"reason": "x", "lines": [{"position": 2, "net": "1"}]}, "/lines/0/net"),
            ({"reason": "x", "lines": "all"}, "/lines"),
        ],
    )
    def test_bad_input(self, client: APIClient, bill: Invoice, body: dict, pointer: str) -> None:
        assert faults(post(client, bill, "credit-notes", **body)) == [pointer]
        assert not CreditNote.objects.exists()


class TestVoid:
    def test_void_and_issued_anew(self, client: APIClient, bill: Invoice) -> None:
        answer = post(client, bill, "void", **documented.WHY)
        assert answer.status_code == 200
        told = answer.json()
        assert (told["status"], told["credited"], told["amount_due"]) == ("void", "110.85", "0.00")
        assert told["voided_at"] == "2026-12-03T09:00:00Z"
        assert faults(post(client, bill, "void", **documented.WHY)) == [""]
        new = post(client, bill, "reissue", **documented.WHY)
        assert new.status_code == 201
        assert {name: new.json()[name] for name in ("status", "number", "replaces", "total")} == {
            "status": "grace",
            "number": "",
            "replaces": bill.number,
            "total": "110.85",
        }
        assert faults(post(client, bill, "reissue", **documented.WHY)) == [""]
        assert faults(post(client, bill, "void")) == ["/reason"]


class TestOverdue:
    def test_those_that_should_have_been_paid(self, client: APIClient, bill: Invoice, november: Any) -> None:
        paid = make_bill("paid", plan=bill.assignment.plan, taxes=(), off="")
        post(client, paid, "payments", amount=str(paid.total), reference="a")

        def found(**query: str) -> list[str]:
            answer = client.get("/v1/invoices", query)
            assert answer.status_code == 200, answer.content
            return [one["number"] for one in answer.json()["data"] if one["number"]]

        assert found(overdue="true") == []
        november.move_to("2026-12-18T09:00:00Z")
        assert found(overdue="true") == [bill.number]
        assert found(overdue="true", customer="acme") == [bill.number]
        assert found(overdue="true", customer="paid") == []
        assert found(overdue="false", customer="paid") == [paid.number]
        assert faults(client.get("/v1/invoices", {"overdue": "perhaps"})) == ["/overdue"]
        assert faults(client.get("/v1/invoices", {"overdue": "false"})) == ["/customer"]
        own = of_customer(paid.customer)
        assert own.get("/v1/invoices", {"overdue": "true"}).json()["data"] == []


class TestStrangers:
    CALLS = [
        ("payments", {"amount": "1"}),
        ("credit-notes", {"reason": "x"}),
        ("void", {"reason": "x"}),
        ("reissue", {"reason": "x"}),
        ("write-off", {"reason": "x"}),
    ]

    @pytest.mark.parametrize(("what", "body"), CALLS)
    def test_keys_that_read_and_keys_of_customers_change_nothing(
        self, api: Api, bill: Invoice, what: str, body: dict
    ) -> None:
        for client in (api("read"), api("ingest"), of_customer(bill.customer, "read", "ingest"), APIClient()):
            assert post(client, bill, what, **body).status_code in (401, 403)
        assert not Payment.objects.exists()
        assert (fresh(bill).status, CreditNote.objects.count()) == ("final", 0)

    def test_a_customer_reads_its_own_credit_notes_and_no_others(self, bill: Invoice) -> None:
        void_invoice(bill.pk, reason="So")
        own, stranger = of_customer(bill.customer), of_customer(make_customer("globex"))
        assert [one["number"] for one in own.get("/v1/credit-notes").json()["data"]] == ["CN-2026-0001"]
        assert own.get("/v1/credit-notes/CN-2026-0001").status_code == 200
        assert stranger.get("/v1/credit-notes").json()["data"] == []
        assert stranger.get("/v1/credit-notes/CN-2026-0001").status_code == 404
        assert stranger.get("/v1/credit-notes", {"customer": "acme"}).status_code == 403
        assert stranger.get("/v1/credit-notes", {"invoice": bill.number}).json()["data"] == []
        assert stranger.get(f"/v1/invoices/{bill.number}").status_code == 404
        assert own.get(f"/v1/invoices/{bill.number}").status_code == 200
        assert stranger.get(f"/v1/invoices/{bill.number}/payments").status_code == 403


def test_numbers_with_slashes_and_dots(api: Api, bill: Invoice) -> None:
    BillingPolicy.objects.create(invoice_numbers="INV/{year}.{number}", credit_note_numbers="C/{year}/{number}")
    slashed = make_bill("slashed", plan=bill.assignment.plan, taxes=(), off="")
    assert slashed.number == "INV/2026.2"
    client = api("read", "write")
    assert client.get("/v1/invoices/INV/2026.2").json()["id"] == slashed.pk
    assert client.get("/v1/invoices/INV%2F2026.2").json()["id"] == slashed.pk
    assert post(client, slashed, "payments", amount="1").status_code == 201
    assert post(client, slashed, "credit-notes", reason="So").json()["number"] == "C/2026/1"
    assert client.get("/v1/credit-notes/C/2026/1").json()["invoice"] == "INV/2026.2"


def test_what_cannot_be_done_to_an_invoice_is_not_found(api: Api, bill: Invoice) -> None:
    client = api()
    for named in (bill.pk, bill.number):
        for answer in (client.post(f"/v1/invoices/{named}/forget"), client.get(f"/v1/invoices/{named}/forget")):
            assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
