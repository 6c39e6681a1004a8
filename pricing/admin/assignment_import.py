"""Assignments from a CSV text: every row is checked and shown first, and then all of them are stored or none."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from pricing.admin.form_page import list_crumb, posted
from pricing.assignment_import import COLUMNS, REQUIRED, Imported, ImportedRow, import_assignments
from pricing.csv_text import CsvFault, CsvRow, read_rows
from pricing.models import Assignment

# What one page shows. The command takes more.
MOST_ROWS = 500
MOST_BYTES = 1_000_000


class ImportForm(forms.Form):
    """A file, or its text: what was read comes back in the field, so that it can be corrected there."""

    file = forms.FileField(
        label="CSV file", required=False, widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"})
    )
    text = forms.CharField(
        label="Or its text",
        required=False,
        strip=False,
        max_length=MOST_BYTES,
        widget=forms.Textarea(attrs={"rows": 8, "class": "csv-text", "spellcheck": "false", "wrap": "off"}),
    )

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file is None:
            return ""
        if file.size is None or file.size > MOST_BYTES:
            raise forms.ValidationError(f"At most {MOST_BYTES // 1_000_000} MB.")
        try:
            text: str = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise forms.ValidationError("It is no text in UTF-8. Save it as “CSV UTF-8”.") from None
        return text

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors:
            return data
        # Browsers send line ends of their own.
        text = data["file"] or data["text"]
        data["text"] = text.replace("\r\n", "\n").replace("\r", "\n")
        try:
            data["rows"] = read_rows(data["text"], columns=COLUMNS, required=REQUIRED, most=MOST_ROWS)
        except CsvFault as fault:
            self.add_error("file" if data["file"] else "text", str(fault))
        return data


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row as it was written, and what becomes of it or why not. `cells`: column, text, errors."""

    line: int
    cells: list[tuple[str, str, list[str]]]
    outcome: str
    errors: list[str]


def import_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    form = ImportForm(posted(request), request.FILES or None)
    imported: Imported | None = None
    rows: list[CsvRow] = []
    if form.is_bound and form.is_valid():
        rows = form.cleaned_data["rows"]
        # What is stored is what was shown: a text that was edited since is checked and shown anew.
        checked = request.POST.get("checked") == _digest(form)
        imported = import_assignments(
            [{**row.cells, "line": str(row.line)} for row in rows],
            actor=request.user.get_username(),
            dry_run=not ("apply" in request.POST and checked),
        )
        if imported.stored:
            messages.success(request, _done_words(imported))
            return HttpResponseRedirect(reverse("admin:pricing_assignment_changelist"))
        form = ImportForm(initial={"text": form.cleaned_data["text"]})
    columns = _shown_columns(rows)
    shown = [_preview(row, done, columns) for row, done in zip(rows, imported.rows if imported else [], strict=True)]
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Import assignments",
        "form": form,
        "columns": COLUMNS,
        "shown": columns,
        "required": REQUIRED,
        "most_rows": MOST_ROWS,
        "rows": shown,
        "wrong": imported.wrong if imported else 0,
        "assigned": imported.assigned if imported else 0,
        "checked": sha256(str(form["text"].value() or "").encode()).hexdigest(),
        "crumbs": [list_crumb(Assignment)],
        "back": reverse("admin:pricing_assignment_changelist"),
    }
    return TemplateResponse(request, "admin/pricing/assignment/import.html", context)


def _done_words(imported: Imported) -> str:
    left = len(imported.rows) - imported.assigned
    there = f" {left} {'was' if left == 1 else 'were'} there already." if left else ""
    return f"{imported.assigned} assignment{'' if imported.assigned == 1 else 's'} imported.{there}"


def _digest(form: ImportForm) -> str:
    return sha256(form.cleaned_data["text"].encode()).hexdigest()


def _shown_columns(rows: list[CsvRow]) -> list[str]:
    """The needed columns, and those in which there is anything."""
    return [name for name in COLUMNS if name in REQUIRED or any(row.cells[name] for row in rows)]


def _preview(row: CsvRow, done: ImportedRow, columns: list[str]) -> PreviewRow:
    errors = dict(done.errors)
    cells = [(name, row.cells[name], errors.pop(name, [])) for name in columns]
    return PreviewRow(row.line, cells, done.outcome, [text for texts in errors.values() for text in texts])
