"""Who is on which plan, as Amberflo's clients say and read it: `customer-pricing`. A `productPlanId` is a plan's key.

There a customer is on one plan at a time, so being put on another one is a change of plan here.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from meters.api.amberflo_base import (
    CUSTOMER,
    PRODUCT,
    AmberfloView,
    answer,
    check_product,
    customer_called,
    fault,
    of_customer,
    of_seconds,
    parameters,
    read,
    seconds,
)
from meters.models import Customer
from meters.periods import local_date
from pricing.api.fields import actor_of
from pricing.assignments import assign, change_plan, end
from pricing.models import Assignment, Plan

SOURCE = Assignment.Source.API


class AssignmentIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    customer_id: str
    product_plan_id: str
    product_id: str | int | None = None
    start_time_in_seconds: int | None = None
    # Left out, the end stays as it is; null takes it back.
    end_time_in_seconds: int | msgspec.UnsetType | None = msgspec.UNSET


class PricingView(AmberfloView):
    permissions = {"GET": "pricing.view_assignment", "POST": "pricing.add_assignment pricing.change_assignment"}
    theirs = {
        "plan": "productPlanId",
        "when": "startTimeInSeconds",
        "starts_on": "startTimeInSeconds",
        "ends_on": "endTimeInSeconds",
    }

    def get(self, request: Request) -> HttpResponse:
        """The assignment that runs, or else the one that began last; null where there is none."""
        now = timezone.now()
        begun = [one for one in _asked_for(request) if one.starts_at <= now]
        running = [one for one in begun if one.ends_at is None or now < one.ends_at]
        latest = (running or begun)[-1:]
        return answer(assignment_as_theirs(latest[0]) if latest else None)

    def post(self, request: Request) -> HttpResponse:
        parameters(request, ())
        sent = read(request, AssignmentIn)
        check_product(sent.product_id)
        customer = customer_called(sent.customer_id)
        plan = Plan.objects.filter(key=sent.product_plan_id).first()
        if plan is None:
            raise fault("productPlanId", f"There is no plan with the key {sent.product_plan_id!r}.")
        return answer(assignment_as_theirs(_put_on(customer, plan, sent, actor_of(request), timezone.now())))


class PricingListView(AmberfloView):
    permissions = {"GET": "pricing.view_assignment"}

    def get(self, request: Request) -> HttpResponse:
        """All, in the order of their days."""
        return answer([assignment_as_theirs(one) for one in _asked_for(request)])


def _asked_for(request: Request) -> "QuerySet[Assignment]":
    return _with_days(Assignment.objects.filter(customer__key=of_customer(request)[CUSTOMER]))


def _with_days(assignments: "QuerySet[Assignment]") -> "QuerySet[Assignment]":
    """Without those that another one has taken the place of altogether, in the order of their days."""
    some = assignments.exclude(ends_on=F("starts_on")).select_related("customer", "plan")
    return some.order_by("starts_on", "id")


@transaction.atomic
def _put_on(customer: Customer, plan: Plan, sent: AssignmentIn, actor: str, now: datetime) -> Assignment:
    """From the start on, up to the end or to what is planned for a later day, the customer is on this plan alone."""
    # Of two calls at once the second one sees what the first one has done.
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    today = local_date(now, customer.zone)
    starts_on = _day(sent.start_time_in_seconds, "startTimeInSeconds", customer) or today
    there = list(_with_days(customer.assignments.all()))
    running = _running_on(starts_on, there)
    _running_on(max(starts_on, today), there)
    later = [one for one in there if one.starts_on > starts_on]
    begun = [one for one in later if one.starts_on <= today]
    planned = next((one for one in later if one.starts_on > today), None)
    until = _until(sent, starts_on, planned, customer)
    for one in begun:
        end(one, ends_on=one.starts_on, source=SOURCE, actor=actor)
    if running is None:
        return assign(customer=customer, plan=plan, starts_on=starts_on, ends_on=until, source=SOURCE, actor=actor)
    if running.plan_id != plan.pk:
        running = change_plan(running, plan=plan, when=starts_on, source=SOURCE, actor=actor)
    elif sent.end_time_in_seconds is msgspec.UNSET and not begun:
        return running
    return end(running, ends_on=until, source=SOURCE, actor=actor)


def _running_on(day: date, there: Sequence[Assignment]) -> Assignment | None:
    running = [one for one in there if one.starts_on <= day and (one.ends_on is None or day < one.ends_on)]
    if len(running) > 1:
        names = ", ".join(str(one.plan.key) for one in running)
        raise fault(CUSTOMER, f"The customer is on several plans at once ({names}): use /v1/assignments.")
    return running[0] if running else None


def _until(sent: AssignmentIn, starts_on: date, planned: Assignment | None, customer: Customer) -> date | None:
    name, latest = "endTimeInSeconds", None if planned is None else planned.starts_on
    if not isinstance(sent.end_time_in_seconds, int):
        return latest
    until = _day(sent.end_time_in_seconds, name, customer)
    if until is None or until <= starts_on:
        raise fault(name, "The end is on a day after that of the start.")
    if planned is not None and until > planned.starts_on:
        day = planned.starts_on.isoformat()
        raise fault(name, f"From {day} on the customer is to be on {planned.plan.key!r}.")
    return until


def _day(moment: int | None, name: str, customer: Customer) -> date | None:
    """The day of a moment, where the customer is."""
    return None if moment is None else local_date(of_seconds(moment, name), customer.zone)


def assignment_as_theirs(assignment: Assignment) -> dict[str, Any]:
    return {
        "relationId": str(assignment.pk),
        "customerId": assignment.customer.key,
        "productPlanId": assignment.plan.key,
        "productId": PRODUCT,
        "startTimeInSeconds": seconds(assignment.starts_at),
        "endTimeInSeconds": None if assignment.ends_at is None else seconds(assignment.ends_at),
        "createdTimeInSeconds": seconds(assignment.created_at),
    }
