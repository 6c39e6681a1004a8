"""A customer's own alerts: seen, made, changed, switched, removed and tried by whoever may see its bills."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from invoices.alerting.alerts import MOST_OWN, change_own_alert, own_alerts, remove_own_alert
from invoices.alerting.budgets import budgets_of
from invoices.alerting.preview import mail_of
from invoices.alerting.trying import send_own_test
from invoices.mailing.recipients import recipients_of
from invoices.models import Alert
from portal.access import PortalRequest, for_customer, needs
from portal.alerts.budget_form import BudgetForm
from portal.alerts.form import KINDS, OwnAlertForm, OwnTestForm, offered_kinds
from portal.alerts.rows import alert_row, alert_rows, mails_are_off
from portal.roles import Role

read_or_write = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@for_customer
def alert_list(request: PortalRequest) -> HttpResponse:
    return list_page(request)


def list_page(request: PortalRequest, form: BudgetForm | None = None) -> HttpResponse:
    """The page of all alerts, perhaps with what is wrong with a budget that was sent."""
    rows, budgets = alert_rows(request.customer), budgets_of(request.customer)
    form = form or BudgetForm(None, customer=request.customer, budgets=budgets)
    context = {
        "rows": rows,
        "zone": request.customer.zone,
        "mails_are_off": mails_are_off(),
        "can_add": bool(offered_kinds(request.customer)),
        "most": MOST_OWN,
        "is_full": len(rows) >= MOST_OWN,
        "budgets": budgets,
        "form": form,
    }
    return render(request, "portal/alert_list.html", context, status=422 if form.errors else 200)


@read_or_write
@for_customer
@needs(Role.BILLING)
def add(request: PortalRequest) -> HttpResponse:
    """First asks for the kind, then for what that needs."""
    offered, kind = offered_kinds(request.customer), request.GET.get("kind", "")
    if kind not in offered:
        context = {"kinds": [(one.value, *KINDS[one]) for one in offered], "is_unknown": bool(kind)}
        status = 422 if kind or request.method == "POST" else 200
        return render(request, "portal/alert_kinds.html", context, status=status)
    form = OwnAlertForm(_posted(request), customer=request.customer, kind=kind)
    return _form_page(request, form, f"New alert: {KINDS[Alert.Kind(kind)][0].lower()}")


@read_or_write
@for_customer
@needs(Role.BILLING)
def change(request: PortalRequest, pk: int) -> HttpResponse:
    alert = _own(request, pk)
    form = OwnAlertForm(_posted(request), customer=request.customer, kind=alert.kind, alert=alert)
    return _form_page(request, form, alert.name)


def _form_page(request: PortalRequest, form: OwnAlertForm, title: str) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            saved = form.save(request.viewer.name)
        except ValidationError as error:
            form.add_errors(error)
        except Alert.DoesNotExist:
            raise Http404 from None
        else:
            done = "is there. What is reached already is told within seconds." if form.alert is None else "is saved."
            messages.success(request, f"The alert “{saved.name}” {done}")
            return redirect("portal:alerts")
    context = {
        "form": form,
        "title": title,
        "row": None if form.alert is None else alert_row(form.alert, request.customer),
        "zone": request.customer.zone,
    }
    return render(request, "portal/alert_form.html", context, status=422 if form.errors else 200)


@read_or_write
@for_customer
@needs(Role.BILLING)
def switch(request: PortalRequest, pk: int) -> HttpResponse:
    """Says which way, so that who presses twice does not switch it back."""
    alert = _own(request, pk)
    # Who had to sign in before it comes back without what was sent.
    if request.method == "POST" and request.POST.get("to") in ("on", "off"):
        enabled = request.POST["to"] == "on"
        try:
            change_own_alert(request.customer, alert.pk, changes={"enabled": enabled})
        except Alert.DoesNotExist:
            raise Http404 from None
        messages.success(request, f"The alert “{alert.name}” is switched {'on' if enabled else 'off'}.")
    return redirect("portal:alerts")


@read_or_write
@for_customer
@needs(Role.BILLING)
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    """Asks first."""
    alert = _own(request, pk)
    if request.method != "POST":
        return render(request, "portal/alert_remove.html", {"row": alert_row(alert, request.customer)})
    try:
        remove_own_alert(request.customer, alert.pk)
    except Alert.DoesNotExist:
        raise Http404 from None
    messages.success(request, f"The alert “{alert.name}” is removed.")
    return redirect("portal:alerts")


@read_or_write
@for_customer
@needs(Role.BILLING)
def test_mail(request: PortalRequest, pk: int) -> HttpResponse:
    alert, people = _own(request, pk), recipients_of(request.customer)
    form = OwnTestForm(_posted(request), people=people, own=request.viewer.user.email if request.viewer.user else "")
    if request.method == "POST" and form.is_valid():
        address = form.cleaned_data["address"]
        try:
            to = send_own_test(request.customer, alert.pk, address=address, now=timezone.now())
        except ValidationError as error:
            form.add_error(None, error)
        except Alert.DoesNotExist:
            raise Http404 from None
        else:
            messages.success(request, f"A test mail is on its way to {to}.")
            return redirect("portal:alerts")
    context = {"form": form, "alert": alert, "people": people, "content": mail_of(alert)}
    return render(request, "portal/alert_test.html", context, status=422 if form.errors else 200)


def _own(request: PortalRequest, pk: int) -> Alert:
    alerts = own_alerts(request.customer).select_related("customer", "product_item__meter")
    alert = alerts.filter(pk=pk).first()
    if alert is None:
        raise Http404
    return alert


def _posted(request: PortalRequest) -> object:
    return request.POST if request.method == "POST" else None
