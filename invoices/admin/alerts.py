"""Alerts for staff: all of them, one with where it stands and when it was told, and the pages that make and try one."""

import re
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from invoices.admin.alert_form import KINDS, AlertForm, TestMailForm
from invoices.alerting.alerts import change_alert, remove_alert
from invoices.alerting.preview import BillStanding, alert_then, mail_of, standings
from invoices.alerting.words import reached_words, threshold_words, watched_words
from invoices.mailing.mails import queue_test
from invoices.models import Alert, AlertFiring, MailSetting
from meters.admin.base import ModelAdmin, ReadOnly, add_errors, chip, instant, link, messages_of, require
from meters.models import Customer
from meters.words import period_words
from pricing.admin.form_page import app_crumb, change_url, form_page, list_crumb, posted, row_crumb

SHOWN = 20


@admin.register(Alert)
class AlertAdmin(ModelAdmin[Alert]):
    list_display = ["name", "watches", "of_customer", "told_to", "state", "count", "last"]
    list_display_links = ["name"]
    list_filter = ["kind", "audience", "enabled"]
    list_select_related = ["customer", "product_item__meter"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ["-id"]
    search_fields = ["name", "customer__key", "customer__name"]
    search_help_text = "Name or customer"
    actions = ["switch_on", "switch_off"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Alert]":
        return super().get_queryset(request).annotate(told_count=Count("firings"), told_last=Max("firings__at"))

    @admin.display(description="watches", ordering="kind")
    def watches(self, alert: Alert) -> str:
        return watched_words(alert)

    @admin.display(description="customer", ordering="customer__key")
    def of_customer(self, alert: Alert) -> str | SafeString:
        return "Each" if alert.customer is None else link(change_url(alert.customer), alert.customer)

    @admin.display(description="told to", ordering="audience")
    def told_to(self, alert: Alert) -> str:
        return str(alert.get_audience_display())

    @admin.display(description="state", ordering="enabled")
    def state(self, alert: Alert) -> SafeString:
        return chip("On", "good") if alert.enabled else chip("Switched off", "quiet")

    @admin.display(description="told", ordering="told_count")
    def count(self, alert: Any) -> str:
        return f"{alert.told_count:,}" if alert.told_count else "never"

    @admin.display(description="last", ordering="told_last")
    def last(self, alert: Any) -> str:
        return instant(alert.told_last) or "-"

    # --- Switching, removing ---

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: "QuerySet[Alert]") -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: "QuerySet[Alert]") -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: "QuerySet[Alert]", enabled: bool) -> None:
        words = "Switched on" if enabled else "Switched off"
        done = 0
        # By id, as whoever changes several does.
        for alert in queryset.filter(enabled=not enabled).order_by("pk")[:1000]:
            try:
                change_alert(alert, changes={"enabled": enabled})
            except ValidationError as error:
                self.message_user(request, f"{alert}: {messages_of(error)}", messages.ERROR)
            else:
                done += 1
                self.log_change(request, alert, f"{words}.")
        self.message_user(request, f"{words}: {done}.", messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: Alert) -> None:
        remove_alert(obj)

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Alert]") -> None:
        for alert in queryset.order_by("pk"):
            remove_alert(alert)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Says what goes with it in one line: an alert of each customer may have been told thousands of times."""
        told = AlertFiring.objects.filter(alert__in=list(objs)).count()
        return [*(f"Alert {alert}" for alert in objs), f"What is known of when they were told: {told:,}"], {}, set(), []

    # --- Pages ---

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.test_view)
        return [path("<int:pk>/test/", view, name="invoices_alert_test"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First asks for the kind, then for what that needs."""
        require(self.has_add_permission(request))
        kind, customer = request.GET.get("kind", ""), _customer_of(request)
        if kind not in Alert.Kind.values:
            return self._ask_for_kind(request, customer)
        form = AlertForm(posted(request), kind=kind, initial={"customer": customer})
        return _page(self, request, form, title=f"Add alert: {Alert.Kind(kind).label.lower()}")

    def _ask_for_kind(self, request: HttpRequest, customer: str) -> HttpResponse:
        kept = {"customer": customer} if customer else {}
        kinds = [(kind.label, text, f"?{urlencode({'kind': kind.value, **kept})}") for kind, text in KINDS.items()]
        crumbs = [list_crumb(Alert)]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add alert",
            "kinds": kinds,
            "crumbs": [app_crumb(crumbs), *crumbs],
        }
        return TemplateResponse(request, "admin/invoices/alert/kinds.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        require(self.has_view_permission(request))
        require(request.method != "POST" or self.has_change_permission(request))
        alert = Alert.objects.select_related("customer", "product_item__meter").get(pk=found.pk)
        form = AlertForm(posted(request), kind=alert.kind, alert=alert)
        return _page(self, request, form, title=alert.name)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_change_permission(request))
        alert = get_object_or_404(Alert.objects.select_related("customer", "product_item__meter"), pk=pk)
        form = TestMailForm(posted(request), initial={"address": getattr(request.user, "email", "")})
        content = mail_of(alert)

        def save() -> str:
            address = form.cleaned_data["address"]
            queue_test(MailSetting.Kind.ALERT_TRIGGERED, address, content, timezone.now())
            return f"A test mail is on its way to {address}."

        return form_page(
            self,
            request,
            form=form,
            save=save,
            concerns=alert,
            title="Send a test mail",
            submit="Send test mail",
            crumbs=[list_crumb(Alert), row_crumb(alert)],
            back=change_url(alert),
            template="admin/invoices/alert/test.html",
            content=content,
        )


def _customer_of(request: HttpRequest) -> str:
    """The key of the customer that a new alert is to be of: it is named, or the list was of its alerts."""
    pk = QueryDict(request.GET.get("_changelist_filters", "")).get("customer__id__exact", "")
    listed = Customer.objects.filter(pk=int(pk)).first() if re.fullmatch("[0-9]{1,18}", pk) else None
    return listed.key if listed is not None else request.GET.get("customer", "")


def _page(model_admin: AlertAdmin, request: HttpRequest, form: AlertForm, *, title: str) -> HttpResponse:
    """The page of an alert that is or shall be: sent with "look", it shows where the alert would stand, and stores
    nothing."""
    actor = request.user.get_username()
    # What stands on the page below the form; the form itself goes on from what is stored.
    alert = form.alert
    looked: tuple[Customer | None, list[BillStanding]] | None = None
    if request.method == "POST" and form.is_valid():
        try:
            if "_look" in request.POST:
                looked = _look(form.drafted(actor), form.cleaned_data.get("look_at"))
            else:
                saved = form.save(actor)
                return _saved(model_admin, request, form, saved)
        except ValidationError as error:
            add_errors(form, error)
    elif request.method != "POST" and alert is not None and alert.customer_id is not None:
        looked = _look(alert, None)
    crumbs = [list_crumb(Alert)]
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "form": form,
        "alert": alert,
        "crumbs": [app_crumb(crumbs), *crumbs],
        "back": crumbs[0][1],
        "submit": "Add alert" if alert is None else "Save",
        "may_save": alert is None or model_admin.has_change_permission(request),
        "may_delete": alert is not None and model_admin.has_delete_permission(request, alert),
        "looked": looked is not None,
        "mails_are_off": not MailSetting.objects.filter(kind=MailSetting.Kind.ALERT_TRIGGERED, enabled=True).exists(),
    }
    if looked is not None:
        context |= {"customer": looked[0], "bills": [_bill(one) for one in looked[1]]}
    if alert is not None:
        everything = reverse("admin:invoices_alertfiring_changelist")
        stored = Alert.objects.select_related("customer", "product_item__meter").get(pk=alert.pk)
        newest = AlertFiring.objects.filter(alert=alert).select_related("alert__product_item__meter")
        newest = newest.select_related("invoice__customer").order_by("-pk")
        context |= {
            "watches": watched_words(stored),
            "made": f"{instant(alert.created_at)}{f' by {alert.actor}' if alert.actor else ''}",
            "firings": [_row(firing) for firing in newest[:SHOWN]],
            "all_url": f"{everything}?{urlencode({'alert__id__exact': alert.pk})}",
        }
    return TemplateResponse(request, "admin/invoices/alert/form.html", context)


def _saved(model_admin: AlertAdmin, request: HttpRequest, form: AlertForm, alert: Alert) -> HttpResponse:
    if form.alert is None:
        model_admin.log_addition(request, alert, "Added.")
        done = f"The alert “{alert}” is there. Bills that are beyond its threshold are told of within seconds."
    else:
        changed = ", ".join(str(form.fields[name].label or name).lower() for name in form.changed_data)
        model_admin.log_change(request, alert, f"Changed {changed}." if changed else "Nothing changed.")
        done = f"The alert “{alert}” is saved."
    model_admin.message_user(request, done, messages.SUCCESS)
    return HttpResponseRedirect(change_url(alert))


def _look(alert: Alert, look_at: Customer | None) -> tuple[Customer | None, list[BillStanding]]:
    customer = alert.customer or look_at
    return customer, [] if customer is None else standings(alert, customer)


def _bill(one: BillStanding) -> dict[str, Any]:
    invoice = one.invoice
    if one.standing is None:
        state = chip("Nothing to watch", "quiet")
    elif not one.is_watched:
        state = chip("Was over before", "quiet")
    else:
        state = chip("Reached", "busy") if one.standing.is_reached else chip("Below", "good")
    return {
        "url": change_url(invoice),
        "plan": invoice.plan_version.plan,
        "period": one.period,
        "words": one.words or "-",
        "state": state,
    }


def _row(firing: AlertFiring) -> dict[str, Any]:
    invoice = firing.invoice
    then = alert_then(firing)
    return {
        "at": instant(firing.at),
        "customer": link(change_url(invoice.customer), invoice.customer),
        "invoice": link(change_url(invoice), invoice.number or "Estimate"),
        "period": period_words(invoice.period, invoice.zone),
        "value": reached_words(then, firing.value),
        "threshold": threshold_words(then),
    }


@admin.register(AlertFiring)
class AlertFiringAdmin(ReadOnly, ModelAdmin[AlertFiring]):
    """All of them; the page of an alert has the newest."""

    list_display = ["told", "alert_link", "customer_link", "invoice_link", "period", "reached", "of_then"]
    list_display_links = None
    list_select_related = ["alert__product_item__meter", "invoice__customer"]
    list_per_page = 50
    show_full_result_count = False
    ordering = ["-id"]
    search_fields = ["alert__name", "invoice__customer__key", "invoice__number"]
    search_help_text = "Alert, customer or number of the invoice"

    @admin.display(description="told", ordering="id")
    def told(self, firing: AlertFiring) -> str:
        return instant(firing.at)

    @admin.display(description="alert", ordering="alert__name")
    def alert_link(self, firing: AlertFiring) -> SafeString:
        return link(change_url(firing.alert), firing.alert)

    @admin.display(description="customer")
    def customer_link(self, firing: AlertFiring) -> SafeString:
        return link(change_url(firing.invoice.customer), firing.invoice.customer)

    @admin.display(description="invoice")
    def invoice_link(self, firing: AlertFiring) -> SafeString:
        return link(change_url(firing.invoice), firing.invoice.number or "Estimate")

    @admin.display(description="period")
    def period(self, firing: AlertFiring) -> str:
        return period_words(firing.invoice.period, firing.invoice.zone)

    @admin.display(description="reached")
    def reached(self, firing: AlertFiring) -> str:
        return reached_words(alert_then(firing), firing.value)

    @admin.display(description="threshold then")
    def of_then(self, firing: AlertFiring) -> str:
        return threshold_words(alert_then(firing))
