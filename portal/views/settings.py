"""Settings: the customer's billing details, and what a person has chosen for itself."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from portal.access import PortalRequest, for_customer, needs
from portal.models import Membership
from portal.own.settings import (
    billing_details,
    change_billing_details,
    change_own_settings,
    mail_choices,
    membership_of,
)
from portal.own.settings_forms import BillingForm, OwnForm
from portal.roles import Role

# Who had to sign in before it comes back without what was sent.
read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@for_customer
def settings_page(request: PortalRequest) -> HttpResponse:
    return _page(request)


@read_or_write
@for_customer
@needs(Role.BILLING)
def billing(request: PortalRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("portal:settings")
    form = BillingForm(request.POST, customer=request.customer, stored=billing_details(request.customer))
    if form.is_valid():
        try:
            change_billing_details(request.customer, changes=form.changes(), seen=form.seen(), viewer=request.viewer)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "The billing details are saved. Invoices that are not final yet have them.")
            return redirect("portal:settings")
    return _page(request, billing=form)


@read_or_write
@for_customer
def yours(request: PortalRequest) -> HttpResponse:
    """Of any role: it changes nothing for anybody else."""
    membership = _membership(request)
    if request.method != "POST" or membership is None:
        return redirect("portal:settings")
    form = OwnForm(request.POST, membership=membership, choices=mail_choices(membership))
    if form.is_valid():
        chosen = form.cleaned_data
        try:
            change_own_settings(membership, time_zone=chosen["time_zone"], wanted=chosen["mails"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, "Your settings are saved.")
            return redirect("portal:settings")
    return _page(request, own=form)


def _page(request: PortalRequest, *, billing: BillingForm | None = None, own: OwnForm | None = None) -> HttpResponse:
    customer, membership = request.customer, _membership(request)
    stored = billing_details(customer)
    if billing is None and request.viewer.may_bill:
        billing = BillingForm(None, customer=customer, stored=stored)
    if own is None and membership is not None:
        own = OwnForm(None, membership=membership, choices=mail_choices(membership))
    address = request.viewer.user.email if request.viewer.user else ""
    context = {
        "billing": billing,
        "stored": stored,
        "own": own,
        "address": address,
        "is_address_for_bills": bool(address) and address.casefold() == customer.email.casefold(),
    }
    wrong = bool((billing and billing.errors) or (own and own.errors))
    return render(request, "portal/settings.html", context, status=422 if wrong else 200)


def _membership(request: PortalRequest) -> Membership | None:
    """Nobody who came by a link of the vendor's, or looks on, has one here."""
    user = request.viewer.user
    return None if user is None else membership_of(request.customer, user)
