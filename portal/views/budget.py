"""A customer's budget, in one step: set, changed, switched off. Its page is that of the alerts."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from invoices.alerting.budgets import budgets_of, switch_budget_off
from portal.access import PortalRequest, for_customer, needs
from portal.alerts.budget_form import BudgetForm
from portal.roles import Role
from portal.views.alerts import list_page
from pricing.money import format_money

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@read_or_write
@for_customer
@needs(Role.BILLING)
def set_or_change(request: PortalRequest) -> HttpResponse:
    # Who had to sign in before it comes back without what was sent.
    if request.method != "POST":
        return redirect("portal:alerts")
    form = BudgetForm(request.POST, customer=request.customer, budgets=budgets_of(request.customer))
    budget = form.save(request.viewer.name) if form.is_valid() else None
    if budget is None:
        return list_page(request, form)
    messages.success(request, f"The budget is {format_money(budget.amount, budget.currency)} a period.")
    return redirect("portal:alerts")


@read_or_write
@for_customer
@needs(Role.BILLING)
def switch_off(request: PortalRequest) -> HttpResponse:
    currency = request.POST.get("currency", "").replace("\0", "")
    if request.method == "POST" and switch_budget_off(request.customer, currency=currency):
        messages.success(request, "The budget is switched off. Its alerts are kept below.")
    return redirect("portal:alerts")
