"""The page of a backtest: how far it is, and what it found."""

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils.safestring import SafeString

from invoices.admin.backtest_page import result_of
from invoices.admin.backtest_panel import BacktestForm, may_see, may_start, outcome_words, status_chip
from invoices.backtests.backtest import start_backtest
from invoices.backtests.reports import csv_rows
from invoices.models import Backtest
from invoices.wake import wake_backtest
from meters.admin.base import ModelAdmin, ReadOnly, instant, link, messages_of, require
from pricing.models import Plan

# What tells htmx that nothing more is to come.
STOP_POLLING = 286


@admin.register(Backtest)
class BacktestAdmin(ReadOnly, ModelAdmin[Backtest]):
    list_display = ["label", "plan_link", "status_chip", "periods", "outcome", "actor"]
    list_filter = ["status"]
    list_select_related = ["plan", "version__plan"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["plan__key", "plan__name"]
    change_form_template = "admin/invoices/backtest/change_form.html"
    readonly_fields = ["plan_link", "periods_words", "asked"]
    fields = ["plan_link", "periods_words", "asked"]

    @admin.display(description="started", ordering="id")
    def label(self, backtest: Backtest) -> str:
        return instant(backtest.created_at)

    @admin.display(description="version", ordering="version")
    def plan_link(self, backtest: Backtest) -> SafeString:
        return link(reverse("admin:pricing_plan_change", args=[backtest.plan_id]), backtest.version)

    @admin.display(description="status", ordering="status")
    def status_chip(self, backtest: Backtest) -> SafeString:
        return status_chip(backtest)

    @admin.display(description="before tax")
    def outcome(self, backtest: Backtest) -> str:
        return outcome_words(backtest)

    @admin.display(description="compared")
    def periods_words(self, backtest: Backtest) -> str:
        periods = "period" if backtest.periods == 1 else f"{backtest.periods} periods"
        return f"the last {periods} of each customer that were over, by the prices as they were at the start"

    @admin.display(description="started")
    def asked(self, backtest: Backtest) -> str:
        by = f" by {backtest.actor}" if backtest.actor else ""
        return f"{instant(backtest.created_at)}{by}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        backtest = self.get_object(request, object_id)
        context: dict[str, Any] = {"title": "Backtest"}
        if backtest is not None:
            context |= {"title": f"Backtest of {backtest.version}", "subtitle": None}
            context["result"] = result_of(backtest, request.GET)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # --- Its own pages ---

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("start/<int:plan_pk>/", view(self.start_view), name="invoices_backtest_start"),
            path("<int:pk>/result/", view(self.result_view), name="invoices_backtest_result"),
            path("<int:pk>/csv/", view(self.csv_view), name="invoices_backtest_csv"),
            *super().get_urls(),
        ]

    def start_view(self, request: HttpRequest, plan_pk: int) -> HttpResponse:
        require(may_start(request))
        plan = get_object_or_404(Plan, pk=plan_pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = BacktestForm(request.POST, plan=plan)
        back = f"{reverse('admin:pricing_plan_change', args=[plan.pk])}#backtests"
        if not form.is_valid():
            said = " ".join(f"{name.capitalize()}: {text}" for name, errors in form.errors.items() for text in errors)
            self.message_user(request, said, messages.ERROR)
            return HttpResponseRedirect(back)
        try:
            started = start_backtest(plan=plan, **form.cleaned_data, actor=request.user.get_username())
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
            return HttpResponseRedirect(back)
        wake_backtest(started.pk)
        return HttpResponseRedirect(reverse("admin:invoices_backtest_change", args=[started.pk]))

    def result_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that follows the work."""
        require(may_see(request))
        result = result_of(get_object_or_404(Backtest.objects.select_related("version__plan"), pk=pk), request.GET)
        status = STOP_POLLING if result.is_over else 200
        return render(request, "admin/invoices/backtest/_result.html", {"result": result}, status=status)

    def csv_view(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        require(may_see(request))
        backtest = get_object_or_404(Backtest.objects.select_related("plan"), pk=pk)
        if backtest.status != Backtest.Status.DONE:
            # What there is of it would look like all of it.
            self.message_user(request, "There is a CSV when the backtest is done.", messages.WARNING)
            return HttpResponseRedirect(reverse("admin:invoices_backtest_change", args=[backtest.pk]))
        name = f"backtest-{backtest.plan.key}-{backtest.pk}.csv"
        return StreamingHttpResponse(
            _lines(backtest),
            content_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class _Echo:
    """A file that answers what is written: the writer then answers each line."""

    def write(self, text: str) -> str:
        return text


def _lines(backtest: Backtest) -> Iterator[str]:
    writer = csv.writer(_Echo())
    return (writer.writerow(row) for row in csv_rows(backtest))
