"""Invoices and prepaid orders, as Amberflo's clients read and make them.

A prepaid order is a grant of credit, whose `id` is its reference; amounts are numbers in major units.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from invoices.api.amberflo_invoice import Documents, invoices_of
from invoices.models import CreditGrant, Invoice
from invoices.prepaid.balances import with_left
from invoices.prepaid.credits import grant_credits, void_grant
from invoices.services import recalculate_stale
from meters.api.amberflo_base import (
    CUSTOMER,
    PRODUCT,
    AmberfloView,
    answer,
    check_product,
    customer_called,
    fault,
    needed,
    of_customer,
    of_seconds,
    parameters,
    read,
    seconds,
    truth,
    whole,
)
from meters.api.usage_query import FIRST_YEAR, LAST_YEAR
from meters.models import Customer
from meters.periods import local_date
from pricing.api.fields import actor_of
from pricing.models import Assignment
from pricing.models.plans import account_currency
from pricing.money import amount_text
from pricing.version_choice import version_for

DAY = timedelta(days=1)
# A grant without a reference, which was not made by a client of theirs.
OWN_ID = re.compile("credit-([0-9]{1,18})", re.ASCII)
PRIORITIES = {"HIGHEST_PRIORITY": 0, "LOWEST_PRIORITY": 32767}
Source = CreditGrant.Source


class InvoiceView(AmberfloView):
    permissions = {"GET": "invoices.view_invoice"}
    customer_keys = ("GET",)

    def get(self, request: Request) -> HttpResponse:
        """The running one, with `latest`, or that of a plan whose period began on a day; {} where there is none."""
        names = ("latest", "productPlanId", "year", "month", "day")
        asked, now = _asked_for(request, names), timezone.now()
        invoices = _invoices(asked, request, now).filter(is_correction=False)
        if truth(asked, "latest", False):
            found = invoices.filter(status=Invoice.Status.OPEN).first() or invoices.first()
        else:
            plan, day = needed(asked, "productPlanId"), _day_of(asked)
            # Wherever on earth the day began.
            near = (datetime.combine(day + days * DAY, time(), UTC) for days in (-1, 2))
            of_plan = invoices.filter(plan_version__plan__key=plan, period_start__range=list(near))
            found = next((one for one in of_plan if local_date(one.period_start, one.zone) == day), None)
        return answer({} if found is None else Documents(found.customer, now, asked).of(found))


class InvoicesView(AmberfloView):
    permissions = {"GET": "invoices.view_invoice"}
    customer_keys = ("GET",)

    def get(self, request: Request) -> HttpResponse:
        """All of a customer, the newest first."""
        asked, now = _asked_for(request, ()), timezone.now()
        invoices = list(_invoices(asked, request, now))
        documents = Documents(invoices[0].customer, now, asked) if invoices else None
        return answer([documents.of(one) for one in invoices] if documents is not None else [])


def _asked_for(request: Request, more: Sequence[str]) -> dict[str, str]:
    return of_customer(request, ("fromCache", "withPaymentStatus", *more))


def _invoices(asked: dict[str, str], request: Request, now: datetime) -> "QuerySet[Invoice]":
    """A customer's, but for void ones. What is not to be `fromCache` is brought up to date first, ahead of a worker."""
    key = asked[CUSTOMER]
    if not truth(asked, "fromCache", True):
        live = Invoice.objects.filter(customer__key=key, status__in=Invoice.LIVE)
        recalculate_stale(list(live.order_by("id").values_list("id", flat=True)), now=now)
    return invoices_of(key)


def _day_of(asked: dict[str, str]) -> date:
    year, month, day = (whole(asked, name) for name in ("year", "month", "day"))
    try:
        return date(year if FIRST_YEAR <= year <= LAST_YEAR else 0, month, day)
    except (ValueError, OverflowError):
        raise fault("day", "There is no such day.") from None


# --- Prepaid orders ---


class Recurrence(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    interval: str
    intervals_count: int = 1


class OrderIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    id: str
    customer_id: str
    start_time_in_seconds: int
    prepaid_price: Decimal
    product_id: str | int | None = None
    prepaid_offer_version: int | None = None
    original_worth: Decimal | None = None
    external_payment: bool = False
    recurrence_frequency: Recurrence | None = None
    label: str | None = None
    prepaid_priority: str | None = None
    custom_priority: int | None = None


class OrderView(AmberfloView):
    permissions = {
        "GET": "invoices.view_creditgrant",
        "POST": "invoices.add_creditgrant",
        "DELETE": "invoices.change_creditgrant",
    }
    customer_keys = ("GET",)
    theirs = {
        "reference": "id",
        "name": "label",
        "price_paid": "prepaidPrice",
        "starts_at": "startTimeInSeconds",
        "priority": "customPriority",
    }

    def get(self, request: Request) -> HttpResponse:
        """The one with this `id`; {} where there is none."""
        found = _order(request)
        return answer({} if found is None else order_as_theirs(found))

    def post(self, request: Request) -> HttpResponse:
        parameters(request, ())
        sent = read(request, OrderIn)
        _refuse_what_is_not_here(sent)
        customer, now = customer_called(sent.customer_id), timezone.now()
        has_worth = sent.original_worth is not None
        self.theirs = self.theirs | {"amount": "originalWorth" if has_worth else "prepaidPrice"}
        grant, _ = grant_credits(
            customer=customer,
            name=sent.label or "Prepaid",
            currency=_currency_of(customer, now),
            amount=sent.prepaid_price if sent.original_worth is None else sent.original_worth,
            price_paid=sent.prepaid_price,
            priority=_priority(sent),
            starts_at=of_seconds(sent.start_time_in_seconds, "startTimeInSeconds"),
            source=Source.TOP_UP if sent.external_payment else Source.API,
            reference=sent.id,
            actor=actor_of(request),
            now=now,
        )
        if grant.voided_at is not None:
            raise fault("id", "The order with this id was deleted: add another one under an id of its own.")
        return answer(order_as_theirs(_grants(customer.key).get(pk=grant.pk)))

    def delete(self, request: Request) -> HttpResponse:
        """Takes back what is left of it."""
        found = _order(request)
        if found is None:
            raise fault("Id", "The customer has no prepaid order with this id.", 404)
        voided = void_grant(found, reason="Deleted by an Amberflo client", actor=actor_of(request))
        return answer(order_as_theirs(_grants(found.customer.key).get(pk=voided.pk)))


class OrdersView(AmberfloView):
    permissions = {"GET": "invoices.view_creditgrant"}
    customer_keys = ("GET",)

    def get(self, request: Request) -> HttpResponse:
        """Those that something is left of, the oldest first."""
        asked = of_customer(request)
        still_good = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        grants = _grants(asked[CUSTOMER]).filter(still_good, voided_at=None, left__gt=0)
        return answer([order_as_theirs(grant) for grant in grants])


def _grants(customer: str) -> "QuerySet[Any]":
    grants = with_left(CreditGrant.objects.filter(customer__key=customer)).select_related("customer")
    return grants.order_by("id")


def _order(request: Request) -> Any:
    asked = of_customer(request, ("Id",))
    grants, name = _grants(asked[CUSTOMER]), needed(asked, "Id")
    own = OWN_ID.fullmatch(name)
    return grants.filter(reference=name).first() or (
        grants.filter(reference="", pk=int(own[1])).first() if own is not None else None
    )


def _refuse_what_is_not_here(sent: OrderIn) -> None:
    check_product(sent.product_id)
    if not sent.id.strip():
        raise fault("id", "This is the order's own id, not empty.")
    if sent.recurrence_frequency is not None:
        raise fault("recurrenceFrequency", "Orders do not come again by themselves here: add one each time.")
    if sent.prepaid_offer_version not in (None, -1):
        raise fault("prepaidOfferVersion", "There are no offers here: leave it out.")
    if not sent.prepaid_price:
        raise fault("prepaidPrice", "This is above zero.")


def _priority(sent: OrderIn) -> int:
    if sent.custom_priority is not None:
        return sent.custom_priority
    if sent.prepaid_priority is None:
        return 50
    priority = PRIORITIES.get(sent.prepaid_priority.upper())
    if priority is None:
        raise fault("prepaidPriority", f"This is one of {', '.join(PRIORITIES)}.")
    return priority


def _currency_of(customer: Customer, now: datetime) -> str:
    """That of the plan that the customer is on, or was on last, as an order does not name one."""
    assignments = Assignment.objects.filter(customer=customer).select_related("plan").order_by("-starts_on", "-id")
    begun = [one for one in assignments if one.starts_at <= now]
    version = version_for(begun[0], now) if begun else None
    return account_currency() if version is None else version.currency


def order_as_theirs(grant: Any) -> dict[str, Any]:
    paid = grant.source == Source.TOP_UP
    starts = seconds(grant.starts_at)
    return {
        "id": grant.reference or f"credit-{grant.pk}",
        "customerId": grant.customer.key,
        "productId": PRODUCT,
        "label": grant.name,
        "startTimeInSeconds": starts,
        "endTimeInSeconds": None if grant.expires_at is None else seconds(grant.expires_at),
        "firstCardEndTimeSeconds": None if grant.expires_at is None else seconds(grant.expires_at),
        "prepaidOfferVersion": -1,
        "prepaidPrice": _money(grant.price_paid, grant.currency),
        "originalWorth": _money(grant.amount, grant.currency),
        "originalCurrency": grant.currency,
        "amountLeft": _money(grant.left, grant.currency),
        "externalPayment": paid,
        "internalStatus": "active" if grant.voided_at is None else "deleted",
        "paymentStatus": "settled" if paid else "requires_action",
        "paymentId": None,
        "prepaidPaymentTimeInSeconds": starts if paid else None,
        "firstInvoiceUri": None,
        "recurrenceFrequency": None,
    }


def _money(amount: Decimal, currency: str) -> Decimal:
    return Decimal(amount_text(amount, currency))
