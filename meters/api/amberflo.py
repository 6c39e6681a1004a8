"""Records and customers, as Amberflo's clients send and read them: `/ingest` and `/customers`."""

from collections.abc import Iterator
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from meters.amberflo import decode_records, pointer
from meters.api.amberflo_base import (
    CUSTOMER,
    AmberfloView,
    answer,
    fault,
    millis,
    parameters,
    read,
    refusal,
    truth,
)
from meters.api.auth import customer_of
from meters.api.bodies import read_body
from meters.api.events import in_turn, record, told_of_bodies
from meters.api.problems import Problem
from meters.api.serializers import CustomerSerializer
from meters.events import Outcome
from meters.models import ApiKey, Customer

# Of what was refused, so much is told to the sender. Staff see it by reason.
MOST_TOLD = 100


class IngestView(AmberfloView):
    """Answers plain text: how many records are in, and below that, by line, which were refused and why.

    Their clients send a batch again after 429 and 5xx, and drop it after 4xx without a look at what was wrong. So
    it is 400 only where nothing of the batch is of use.
    """

    permissions = {"POST": "meters.add_event"}
    scopes = {"POST": ApiKey.Scope.INGEST.value}
    customer_keys = ("POST",)

    def get_exception_handler(self) -> Any:
        return _refusal_in_text

    def post(self, request: Request) -> HttpResponse:
        ours_too = _detects_schema(request)
        body = read_body(request)
        with in_turn(body):
            with told_of_bodies():
                events, ours = decode_records(body, max_events=settings.INGEST_MAX_EVENTS, ours_too=ours_too)
            recorded = record(request, events)
        refused = [outcome for outcome in recorded.outcomes if outcome.outcome != "duplicate"]
        taken = len(events) - len({outcome.index for outcome in refused})
        many = body.lstrip()[:1] == b"[" or len(events) > 1
        lines = [f"{taken} records were ingested", *_told(refused, ours, many)]
        nothing_landed = recorded.rejected and not (recorded.accepted or recorded.duplicate or recorded.conflict)
        return _text("\n".join(lines), 400 if nothing_landed else 200)


def _detects_schema(request: Request) -> bool:
    asked = parameters(request, ("schemaDetection", "ingestSchemaId"))
    if "ingestSchemaId" in asked:
        raise fault("ingestSchemaId", "Tollmeter has no schemas: send records of Amberflo's form or events of ours.")
    detection = asked.get("schemaDetection")
    if detection is not None and detection.upper() != "AUTO":
        raise fault("schemaDetection", "This is AUTO, or left out.")
    return detection is not None


def _told(refused: list[Outcome], ours: frozenset[int], many: bool) -> Iterator[str]:
    for outcome in refused[:MOST_TOLD]:
        place = outcome.pointer if outcome.outcome == "rejected" else "/id"
        place = place if outcome.index in ours else pointer(place)
        place = f"/{outcome.index}{place}" if many else place
        yield f"{place}: {outcome.detail}" if place else outcome.detail
    if len(refused) > MOST_TOLD:
        yield f"and {len(refused) - MOST_TOLD:,} more"


def _refusal_in_text(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    response = refusal(error, context)
    if response is None:
        return None
    headers = {name: text for name, text in response.headers.items() if name != "Content-Type"}
    return _text(response.data["message"], response.status_code, headers)


def _text(text: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(text, status=status, headers=headers, content_type="text/plain; charset=utf-8")


class CustomerIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    customer_id: str
    customer_name: str
    customer_email: str | None = None
    traits: dict[str, str] | None = None
    # What ours have no counterpart of, and what only answers have, so that an answer can be sent back.
    enabled: bool | None = None
    test: bool | None = None
    lifecycle_stage: str | None = None
    description: str | None = None
    address: Any = None
    id: Any = None
    create_time: Any = None
    update_time: Any = None


class CustomersView(AmberfloView):
    permissions = {"GET": "meters.view_customer", "POST": "meters.add_customer", "PUT": "meters.change_customer"}
    customer_keys = ("GET",)
    theirs = {"key": CUSTOMER, "name": "customerName", "email": "customerEmail"}

    def get(self, request: Request) -> HttpResponse:
        """All of them, or the one with `customerId`: there, one that does not exist is an object without members."""
        key = parameters(request, (CUSTOMER,)).get(CUSTOMER)
        own = customer_of(request)
        if key is not None:
            return answer(_one(key, own))
        if own is not None:
            raise Problem(403, "restricted_api_key", "This API key is of one customer. Name it: customerId=...")
        return answer([customer_as_theirs(customer) for customer in Customer.objects.order_by("id").iterator(2000)])

    def post(self, request: Request) -> HttpResponse:
        name = "autoCreateCustomerInStripe"
        if truth(parameters(request, (name,)), name, False):
            raise fault(name, "Tollmeter creates nobody at Stripe. Put the id into the trait stripeId.")
        return _save(None, _read_customer(request))

    def put(self, request: Request) -> HttpResponse:
        parameters(request, ())
        sent = _read_customer(request)
        customer = Customer.objects.filter(key=sent.customer_id).first()
        if customer is None:
            raise fault(CUSTOMER, f"There is no customer {sent.customer_id!r}.", 404)
        return _save(customer, sent)


class CustomerView(AmberfloView):
    permissions = {"GET": "meters.view_customer", "DELETE": "meters.change_customer"}
    customer_keys = ("GET",)

    def get(self, request: Request, key: str) -> HttpResponse:
        parameters(request, ())
        return answer(_one(key, customer_of(request)))

    def delete(self, request: Request, key: str) -> HttpResponse:
        detail = "Customers are not deleted: usage and bills point at them. End what they are on."
        raise Problem(400, "never_deleted", detail)


def _one(key: str, own: Customer | None) -> dict[str, Any]:
    # Whether there is another one is not theirs to know.
    customers = Customer.objects.filter(key=key) if own is None else Customer.objects.filter(pk=own.pk, key=key)
    customer = customers.first()
    return {} if customer is None else customer_as_theirs(customer)


def _read_customer(request: Request) -> CustomerIn:
    sent = read(request, CustomerIn)
    if sent.enabled is False:
        raise fault("enabled", "Customers are not switched off here. End what they are on.")
    if sent.test:
        raise fault("test", "All customers are real ones here. Use an installation of its own for tests.")
    if (sent.lifecycle_stage or "active").lower() != "active":
        raise fault("lifecycleStage", "All customers are active here.")
    for name in ("description", "address"):
        if getattr(sent, name):
            raise fault(name, "Customers have none here. Traits and billing profiles hold what is to be kept of them.")
    return sent


def _save(customer: Customer | None, sent: CustomerIn) -> HttpResponse:
    """What is left out is taken away, as there; the time zone, which is ours alone, stays."""
    fields = {"key": sent.customer_id, "name": sent.customer_name}
    form = CustomerSerializer(customer, data=fields | {"email": sent.customer_email or "", "traits": sent.traits or {}})
    form.is_valid(raise_exception=True)
    return answer(customer_as_theirs(form.save()))


def customer_as_theirs(customer: Customer) -> dict[str, Any]:
    return {
        "id": customer.key,
        "customerId": customer.key,
        "customerName": customer.name,
        "customerEmail": customer.email or None,
        "enabled": True,
        "test": False,
        "lifecycleStage": "active",
        "traits": customer.traits,
        "createTime": millis(customer.created_at),
    }
