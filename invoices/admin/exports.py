"""Exports of a month for accounting: the list with the form that starts one, and the page that follows the work."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from invoices.exporting import files as export_files
from invoices.exporting.exports import start_export
from invoices.exporting.rows import account_zone, month_span
from invoices.models import Export
from invoices.wake import wake_export
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, messages_of, require
from meters.periods import local_date

# What tells htmx that nothing more is to come.
STOP_POLLING = 286
MONTHS = 24
CHIPS = {
    Export.Status.WAITING: "busy",
    Export.Status.RUNNING: "busy",
    Export.Status.DONE: "good",
    Export.Status.FAILED: "bad",
}
TYPES = {Export.Form.CSV: "text/csv; charset=utf-8; header=present", Export.Form.ZIP: "application/zip"}


class ExportForm(forms.Form):
    """A month, the one before this first, and the form of the file."""

    month = forms.ChoiceField()
    form = forms.ChoiceField(label="File", choices=Export.Form.choices)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        this = local_date(timezone.now(), account_zone()).replace(day=1)
        months = [(this - timedelta(days=1)).replace(day=1)]
        while len(months) < MONTHS:
            months.append((months[-1] - timedelta(days=1)).replace(day=1))
        field = self.fields["month"]
        assert isinstance(field, forms.ChoiceField)
        named = [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]
        field.choices = [named[0], (f"{this:%Y-%m}", f"{this:%B %Y}, so far"), *named[1:]]

    def clean_month(self) -> date:
        return date.fromisoformat(f"{self.cleaned_data['month']}-01")


@admin.register(Export)
class ExportAdmin(ReadOnly, ModelAdmin[Export]):
    list_display = ["label", "status_chip", "documents", "started", "by"]
    list_filter = ["form", "status"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/invoices/export/change_list.html"
    change_form_template = "admin/invoices/export/change_form.html"
    readonly_fields = ["month_words", "kind", "asked"]
    fields = ["month_words", "kind", "asked"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A file has every invoice in it."""
        return bool(super().has_view_permission(request, obj)) and request.user.has_perm("invoices.view_invoice")

    def may_start(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm("invoices.add_export")

    @admin.display(description="export", ordering="month")
    def label(self, export: Export) -> str:
        return f"{export.month:%B %Y}, {export.form.upper()}"

    @admin.display(description="status", ordering="status")
    def status_chip(self, export: Export) -> SafeString:
        return chip(export.get_status_display(), CHIPS[Export.Status(export.status)])

    @admin.display(description="documents")
    def documents(self, export: Export) -> str:
        return f"{export.done:,}" if export.status == Export.Status.DONE else f"{export.done:,} of {export.total:,}"

    @admin.display(description="started", ordering="id")
    def started(self, export: Export) -> str:
        return instant(export.created_at)

    @admin.display(description="started by", ordering="actor")
    def by(self, export: Export) -> str:
        return export.actor or "Tollmeter"

    @admin.display(description="month")
    def month_words(self, export: Export) -> str:
        return f"{export.month:%B %Y}, by the day an invoice became final or a credit note was issued at the account"

    @admin.display(description="file")
    def kind(self, export: Export) -> str:
        return str(export.get_form_display())

    @admin.display(description="started")
    def asked(self, export: Export) -> str:
        by = f" by {export.actor}" if export.actor else ""
        return f"{instant(export.created_at)}{by}"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        form = ExportForm() if self.may_start(request) else None
        return super().changelist_view(request, {"form": form, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        export = self.get_object(request, object_id)
        context: dict[str, Any] = {"title": "Export"}
        if export is not None:
            context |= {"title": f"Export of {export.month:%B %Y}", "subtitle": None, **_progress(export)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # --- Its own pages ---

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("start/", view(self.start_view), name="invoices_export_start"),
            path("<int:pk>/progress/", view(self.progress_view), name="invoices_export_progress"),
            path("<int:pk>/file/", view(self.file_view), name="invoices_export_file"),
            *super().get_urls(),
        ]

    def start_view(self, request: HttpRequest) -> HttpResponse:
        require(self.may_start(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = ExportForm(request.POST)
        back = reverse("admin:invoices_export_changelist")
        if not form.is_valid():
            said = " ".join(f"{name.capitalize()}: {text}" for name, errors in form.errors.items() for text in errors)
            self.message_user(request, said, messages.ERROR)
            return HttpResponseRedirect(back)
        try:
            export = start_export(**form.cleaned_data, actor=request.user.get_username())
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
            return HttpResponseRedirect(back)
        wake_export(export.pk)
        return HttpResponseRedirect(reverse("admin:invoices_export_change", args=[export.pk]))

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that follows the work."""
        require(self.has_view_permission(request))
        context = _progress(get_object_or_404(Export, pk=pk))
        status = STOP_POLLING if context["is_over"] else 200
        return render(request, "admin/invoices/export/_progress.html", context, status=status)

    def file_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        require(self.has_view_permission(request))
        export = get_object_or_404(Export, pk=pk)
        try:
            if export.status != Export.Status.DONE or not export.file:
                raise FileNotFoundError
            file = export_files.path_of(export).open("rb")
        except FileNotFoundError:
            self.message_user(request, "There is no file, or no file any more: start another export.", messages.WARNING)
            return HttpResponseRedirect(reverse("admin:invoices_export_change", args=[export.pk]))
        form = Export.Form(export.form)
        name = f"invoices-{export.month:%Y-%m}.{form.value}"
        return FileResponse(file, as_attachment=True, filename=name, content_type=TYPES[form])


def _progress(export: Export) -> dict[str, Any]:
    is_over = export.status in (Export.Status.DONE, Export.Status.FAILED)
    return {
        "export": export,
        "chip": chip(export.get_status_display(), CHIPS[Export.Status(export.status)]),
        "percent": 100 * export.done // export.total if export.total else 0,
        "is_over": is_over,
        "is_done": export.status == Export.Status.DONE,
        "is_partial": export.created_at < month_span(export.month).end,
        "days": settings.EXPORT_DAYS,
        "has_file": bool(export.file) and export_files.path_of(export).exists(),
    }
