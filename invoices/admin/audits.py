"""The pages of audits: the list, with the button that starts one, and a run with its progress and what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils.safestring import SafeString

from invoices.admin.backtests import STOP_POLLING
from invoices.auditing.checks import NAMES
from invoices.auditing.runs import MOST_KEPT, start_audit
from invoices.models import AuditFinding, AuditRun
from invoices.wake import wake_audit
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, messages_of, require
from meters.words import day_words

PAGE = 100
SECOND = timedelta(seconds=1)
Check = AuditFinding.Check
# By check, what it counts.
UNITS = {
    Check.AMOUNTS: "Invoices counted and rated again",
    Check.CORRECTIONS: "Corrections",
    Check.TOTALS: "Invoices and credit notes",
    Check.LEDGER: "Grants of credit",
    Check.SETTLEMENT: "Invoices with a number",
    Check.NO_PLAN: "Customers",
    Check.NO_RATE: "Invoices",
    Check.NUMBERS: "Numbers",
}
LEFT_OUT = {
    "waiting": "had newer usage that waited to be worked in; the next audit looks at them",
    "archived": "are for months whose events are archived, and cannot be counted again",
}


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check, what of it was looked at, and how many findings it has; `query` asks for these alone."""

    label: str
    looked_at: str
    found: int
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Result:
    run: AuditRun
    chip: SafeString
    percent: int
    took: str
    checks: Sequence[CheckRow]
    notes: Sequence[str]
    page: Page[AuditFinding]
    chosen: str
    more: int
    query: str

    @property
    def is_over(self) -> bool:
        return self.run.status != AuditRun.Status.RUNNING


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perm("invoices.view_auditrun")


def may_start(request: HttpRequest) -> bool:
    return may_see(request) and request.user.has_perm("invoices.add_auditrun")


def result_of(run: AuditRun, asked: QueryDict) -> Result:
    chosen = asked.get("check", "")
    chosen = chosen if chosen in NAMES else ""
    findings = run.findings.select_related("customer", "invoice").order_by("pk")
    counts = dict(run.findings.order_by().values_list("check_name").annotate(Count("pk")))
    page = Paginator(findings.filter(check_name=chosen) if chosen else findings, PAGE).get_page(asked.get("page"))
    checks = [
        CheckRow(
            label=Check(name).label,
            looked_at=f"{UNITS[Check(name)]}: {run.checked[name]:,}" if name in run.checked else "not yet",
            found=counts.get(name, 0),
            query=f"check={name}",
            is_chosen=name == chosen,
        )
        for name in NAMES
        if name in run.options.get("checks", NAMES)
    ]
    return Result(
        run=run,
        chip=run_chip(run),
        percent=100 * run.done // run.total if run.total else 0,
        took=took_words(run),
        checks=checks,
        notes=[f"{_invoices(count)} {LEFT_OUT[name]}." for name, count in run.left_out.items()],
        page=page,
        chosen=Check(chosen).label if chosen else "",
        more=max(run.found - MOST_KEPT, 0),
        query=f"check={chosen}" if chosen else "",
    )


def _invoices(count: int) -> str:
    return "1 invoice" if count == 1 else f"{count:,} invoices"


def run_chip(run: AuditRun) -> SafeString:
    if run.status == AuditRun.Status.RUNNING:
        return chip("Running", "busy")
    if run.status == AuditRun.Status.FAILED:
        return chip("Failed", "bad")
    return chip(found_words(run.found), "bad" if run.found else "good")


def found_words(found: int) -> str:
    return {0: "No finding", 1: "1 finding"}.get(found, f"{found:,} findings")


def about_words(run: AuditRun) -> str:
    """What was asked for, where it is not all."""
    options = run.options
    said = [f"customer {options['customer']}"] if "customer" in options else []
    said += [f"usage from {day_words(date.fromisoformat(options['since']))} on"] if "since" in options else []
    said += [", ".join(options["checks"])] if "checks" in options else []
    return "; ".join(said) or "everything"


def took_words(run: AuditRun) -> str:
    """ "2 min 5 s", "under a second"; nothing while it works."""
    if run.finished_at is None:
        return ""
    seconds = (run.finished_at - run.started_at) // SECOND
    if seconds >= 60:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds} s" if seconds else "under a second"


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnly, ModelAdmin[AuditRun]):
    list_display = ["label", "chip", "customers", "about", "started_by", "took"]
    list_filter = ["status"]
    list_per_page = 50
    show_full_result_count = False
    change_list_template = "admin/invoices/auditrun/change_list.html"
    change_form_template = "admin/invoices/auditrun/change_form.html"
    readonly_fields = ["label", "about", "started_by"]
    fields = ["label", "about", "started_by"]

    @admin.display(description="started", ordering="id")
    def label(self, run: AuditRun) -> str:
        return instant(run.started_at)

    @admin.display(description="result", ordering="found")
    def chip(self, run: AuditRun) -> SafeString:
        return run_chip(run)

    @admin.display(description="customers")
    def customers(self, run: AuditRun) -> str:
        return f"{run.done:,}" if run.done == run.total else f"{run.done:,} of {run.total:,}"

    @admin.display(description="about")
    def about(self, run: AuditRun) -> str:
        return about_words(run)

    @admin.display(description="started by", ordering="actor")
    def started_by(self, run: AuditRun) -> str:
        return run.actor or "Tollmeter, as every night"

    @admin.display(description="took")
    def took(self, run: AuditRun) -> str:
        return took_words(run)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Audits", "may_start": may_start(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        context: dict[str, Any] = {"title": "Audit"}
        if run is not None:
            context |= {"title": f"Audit of {instant(run.started_at)}", "subtitle": None}
            context["result"] = result_of(run, request.GET)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # --- Its own pages ---

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("start/", view(self.start_view), name="invoices_auditrun_start"),
            path("<int:pk>/result/", view(self.result_view), name="invoices_auditrun_result"),
            *super().get_urls(),
        ]

    def start_view(self, request: HttpRequest) -> HttpResponse:
        require(may_start(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            started = start_audit(actor=request.user.get_username())
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:invoices_auditrun_changelist"))
        wake_audit(started.pk)
        return HttpResponseRedirect(reverse("admin:invoices_auditrun_change", args=[started.pk]))

    def result_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that follows the work."""
        require(may_see(request))
        result = result_of(get_object_or_404(AuditRun, pk=pk), request.GET)
        status = STOP_POLLING if result.is_over else 200
        return render(request, "admin/invoices/auditrun/_result.html", {"result": result}, status=status)
