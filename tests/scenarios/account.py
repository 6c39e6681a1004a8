"""A vendor's account as scenarios drive it: over the API, with a clock that moves and a worker that keeps up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import time_machine
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from django.utils.module_loading import import_string
from rest_framework.test import APIClient

from invoices.statements.statement import Statement, statement_of
from meters.models import Customer
from meters.periods import Period, month_of
from pricing.money import amount_text

Json = dict[str, Any]

# What the beat sends that moves invoices and credits, in its order. One round of it, and a sweep of what that has left.
ROUND = ("invoices.tasks.bills.sweep", "invoices.tasks.bills.close_periods", "invoices.tasks.prepaid.follow_credits")
assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}.issuperset(ROUND)
MONEY = ("total", "credits_applied", "credited", "paid", "written_off", "amount_due")


class Account:
    """Moments are texts with the offset of whom they are about; figures go in and come out as the API writes them."""

    def __init__(self, client: APIClient, clock: time_machine.Traveller) -> None:
        self.client = client
        self.clock = clock

    def at(self, moment: str) -> None:
        """It is that moment, and the worker has done all that is to be done by then."""
        at = datetime.fromisoformat(moment)
        assert at >= timezone.now(), "time does not go back"
        self.clock.move_to(at)
        self.work()

    def work(self) -> None:
        for task in (*ROUND, ROUND[0]):
            import_string(task)()

    def audit(self) -> None:
        """Raises CommandError where an audit of everything finds something."""
        call_command("audit_invoices", stdout=StringIO())

    # --- Asking ---

    def get(self, path: str, **query: str) -> Any:
        return _body(self.client.get(f"/v1/{path}", query), 200)

    def post(self, path: str, body: object = None, *, expect: int = 201, **query: str) -> Any:
        """Does something. That takes a second, so that nothing else is done at that moment."""
        self.clock.shift(timedelta(seconds=1))
        return self._post(path, body or {}, expect, **query)

    def _post(self, path: str, body: object, expect: int, **query: str) -> Any:
        address = f"/v1/{path}" + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
        return _body(self.client.post(address, body, format="json"), expect)

    def patch(self, path: str, **body: object) -> Any:
        return _body(self.client.patch(f"/v1/{path}", body, format="json"), 200)

    # --- Telling ---

    def meter(self, key: str, unit: str, **fields: object) -> None:
        self.post("meters", {"key": key, "unit": unit, "used_for_billing": True, **fields})

    def plan(self, key: str, rates: dict[str, object], *fees: Json, default: bool = False, **terms: object) -> None:
        """Makes a plan, or its next version, and activates it. A rate is its parameters; or with `prorated` too."""
        stay = {"moves_existing": "false"} if terms.pop("stay", False) else {}
        document = {
            "key": key,
            "rates": [{"product_item": item, **_rate(rate)} for item, rate in rates.items()],
            "fees": list(fees),
        }
        self.post(f"plans/{key}/document", document | terms, expect=200, activate="true", **stay)
        if default:
            self.patch(f"plans/{key}", is_default=True)

    def customer(self, key: str, zone: str = "UTC") -> None:
        self.post("customers", {"key": key, "time_zone": zone})

    def assign(self, customer: str, plan: str, starts_on: str) -> int:
        """Answers the id of the assignment."""
        asked = {"customer": customer, "plan": plan, "starts_on": starts_on}
        return int(self.post("assignments", asked)["id"])

    def use(self, customer: str, meter: str, value: int, time: str, id: str | None = None) -> None:
        """Sends an event at the moment of its time, or now where that is over; then the worker does what is to be."""
        self.clock.move_to(max(datetime.fromisoformat(time), timezone.now()))
        self.send(customer, meter, value, time, id)

    def send(self, customer: str, meter: str, value: int, time: str, id: str | None = None) -> None:
        """Sends an event now, also one of a time to come."""
        moment = datetime.fromisoformat(time).isoformat()
        event = {"customer": customer, "meter": meter, "value": str(value), "time": moment} | ({"id": id} if id else {})
        assert self._post("events", event, 200)["accepted"] == 1
        self.work()

    def void_event(self, customer: str, id: str) -> None:
        asked = {"events": [{"customer": customer, "id": id}], "reason": "It was a test."}
        assert self.post("events/void", asked, expect=200)["events"] == 1
        self.work()

    def pay(self, number: str, amount: str, reference: str, **fields: str) -> None:
        self.post(f"invoices/{number}/payments", {"amount": amount, "reference": reference, **fields})

    # --- Reading ---

    def invoices(self, customer: str) -> list[Json]:
        """The oldest first."""
        return list(reversed(self.get("invoices", customer=customer, limit="100")["data"]))

    def invoice(self, name: str | int) -> Json:
        found: Json = self.get(f"invoices/{name}")
        return found

    def live(self, customer: str) -> Json:
        """The only invoice that is not final, or void."""
        [found] = [one for one in self.invoices(customer) if one["status"] in ("open", "grace")]
        return found

    def documents(self, customer: str) -> list[tuple[str, str, str, str | None, str]]:
        """Of each invoice: number, status, total, the day it is due, and what is left to pay."""
        return [
            (one["number"], one["status"], one["total"], one["due_on"], one["amount_due"])
            for one in self.invoices(customer)
        ]

    def overdue(self) -> list[str]:
        return sorted(one["number"] for one in self.get("invoices", overdue="true")["data"])

    def notes(self, customer: str, currency: str = "USD") -> list[tuple[str, str, str]]:
        """Number, invoice and total of each credit note, the oldest first."""
        found = reversed(self.get("credit-notes", customer=customer)["data"])
        return [(one["number"], one["invoice"], one["total"]) for one in found if one["currency"] == currency]

    def owed(self, customer: str, currency: str = "USD") -> Decimal:
        """What all documents of a customer leave to pay: invoices less credit notes, credits and payments. Its
        statement says the same."""
        due = -sum((Decimal(total) for _, _, total in self.notes(customer, currency)), Decimal(0))
        for one in self.invoices(customer):
            if one["number"] and one["currency"] == currency:
                payments = self.get(f"invoices/{one['number']}/payments")["data"]
                due += Decimal(one["total"]) - Decimal(one["credits_applied"]) - Decimal(one["written_off"])
                due -= sum(Decimal(payment["amount"]) for payment in payments if payment["kind"] != "write_off")
        now = timezone.now()
        ever = Period(datetime(2026, 1, 1, tzinfo=UTC), now + timedelta(days=1))
        assert self._statement(customer, ever, currency).closing == due
        return due

    def statement(self, customer: str, month: str, currency: str = "USD") -> tuple[str, list[tuple[str, str]], str]:
        """What was owed when a month began, number and amount of each document in it, and what was owed at its end."""
        zone = Customer.objects.get(key=customer).zone
        found = self._statement(customer, month_of(datetime.fromisoformat(f"{month}-15T12:00Z"), zone), currency)
        entries = [(one.number, amount_text(one.amount, currency)) for one in found.entries]
        return amount_text(found.opening, currency), entries, amount_text(found.closing, currency)

    @staticmethod
    def _statement(customer: str, period: Period, currency: str) -> Statement:
        return statement_of(Customer.objects.get(key=customer), currency, period, now=timezone.now())


def lines(invoice: Json) -> list[tuple[str, str | None, str]]:
    """Name, quantity and amount of each line."""
    return [(line["name"], line["quantity"], line["amount"]) for line in invoice["lines"]]


def money(invoice: Json) -> dict[str, str]:
    return {name: invoice[name] for name in (*MONEY, "payment_status")}


def fee(key: str, amount: str, **fields: object) -> Json:
    return {"key": key, "name": key.capitalize(), "kind": "recurring", "amount": amount, "quantity": "1", **fields}


def per_unit(price: str, **fields: str) -> Json:
    return {"model": "per_unit", "unit_price": price, **fields}


def _rate(rate: Any) -> Json:
    return dict(rate) if "parameters" in rate else {"parameters": rate}


def _body(answer: Any, expected: int) -> Any:
    assert answer.status_code == expected, answer.content
    return answer.json()
