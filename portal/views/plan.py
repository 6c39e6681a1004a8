"""The plan that the customer is on, what things cost, what others would, and a change to another one."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from invoices.plan_changes import change_own_plan, look_ahead, take_back_own_change
from meters.words import day_words
from portal.access import PortalRequest, for_customer, needs, wants_fragment
from portal.plan.calculator import CalculatorForm, answer_of
from portal.plan.change import ConfirmChangeForm, change_page
from portal.plan.offers import calculable, comparisons, offers
from portal.plan.page import plans_of, taxes_of
from portal.roles import Role
from pricing.models import Assignment
from pricing.offers import offered_to

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@for_customer
def plan(request: PortalRequest) -> HttpResponse:
    """The page; for htmx, the calculator alone."""
    now = timezone.now()
    if wants_fragment(request):
        return _calculator(request)
    mine, offered = plans_of(request.customer, now=now), list(offered_to(request.customer))
    plans = calculable(mine, offered)
    form = CalculatorForm(request.GET.dict(), plans) if plans else None
    answer = answer_of(form, request.customer) if form else None
    context = {
        "plans": mine,
        "taxes": taxes_of(request.customer),
        "offers": offers(mine, offered),
        "form": form,
        "answer": answer,
        "zone": request.customer.zone,
    }
    return render(request, "portal/plan.html", context, status=422 if form and form.errors else 200)


def _calculator(request: PortalRequest) -> HttpResponse:
    mine = plans_of(request.customer, now=timezone.now(), with_pictures=False)
    plans = calculable(mine, list(offered_to(request.customer)))
    if not plans:
        raise Http404
    form = CalculatorForm(request.GET.dict(), plans)
    answer = answer_of(form, request.customer)
    context = {"form": form, "answer": answer}
    return render(request, "portal/plan.html#calculator", context, status=422 if form.errors else 200)


@require_safe
@for_customer
def comparison(request: PortalRequest) -> HttpResponse:
    """What the last period would have cost on the plans that are offered: a part of the plan page, and a page."""
    now = timezone.now()
    template = "portal/plan_comparison.html#comparison" if wants_fragment(request) else "portal/plan_comparison.html"
    mine = plans_of(request.customer, now=now, with_pictures=False)
    found = comparisons(mine, list(offered_to(request.customer)), now=now)
    return render(request, template, {"comparisons": found, "now": now, "zone": request.customer.zone})


@read_or_write
@for_customer
@needs(Role.BILLING)
def change(request: PortalRequest, pk: int, key: str) -> HttpResponse:
    """Says first what happens, and when."""
    now = timezone.now()
    assignment = _assignment(request, pk)
    # What the database would not take as a text at all.
    if "\0" in key:
        raise Http404
    new = get_object_or_404(offered_to(request.customer), key=key)
    refused = ""
    if request.method == "POST":
        form = ConfirmChangeForm(request.POST)
        if not form.is_valid():
            raise Http404
        try:
            planned = change_own_plan(assignment, plan=new, **form.cleaned_data, now=now, actor=request.viewer.name)
        except ValidationError as error:
            refused = " ".join(error.messages)
        else:
            text = f"From {day_words(planned.starts_on)} on you are on {new.public_name}."
            messages.success(request, f"{text} Until then nothing changes.")
            return redirect("portal:plan")
    assignment = _assignment(request, pk)
    try:
        page = change_page(look_ahead(assignment, new, now=now), now=now)
    except ValidationError as error:
        page, refused = None, refused or " ".join(error.messages)
    context = {"assignment": assignment, "plan": new, "page": page, "refused": refused}
    return render(request, "portal/plan_change.html", context, status=422 if refused else 200)


@read_or_write
@for_customer
@needs(Role.BILLING)
def take_back(request: PortalRequest, pk: int) -> HttpResponse:
    """Asks first."""
    planned = _assignment(request, pk)
    if planned.source != Assignment.Source.PORTAL or planned.continues is None:
        raise Http404
    if request.method != "POST":
        return render(request, "portal/plan_take_back.html", {"planned": planned})
    try:
        before = take_back_own_change(planned, now=timezone.now(), actor=request.viewer.name)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"The change is taken back: you stay on {before.plan.public_name}.")
    return redirect("portal:plan")


def _assignment(request: PortalRequest, pk: int) -> Assignment:
    assignments = request.customer.assignments.select_related("plan", "customer", "continues__plan")
    return get_object_or_404(assignments, pk=pk)
