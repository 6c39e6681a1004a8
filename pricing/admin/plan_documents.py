"""Plans as documents: one is downloaded, and one is applied after what it changes was shown."""

from hashlib import sha256
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from pricing.admin.form_page import app_crumb, list_crumb, posted
from pricing.admin.plan_pages import plan_url
from pricing.document_text import FORMATS, DocumentFault, read_text, write_text
from pricing.documents import Applied, apply_plan, export_plan
from pricing.models import Plan

MOST_BYTES = 1_000_000
CONTENT_TYPES = {"json": "application/json", "yaml": "application/yaml"}


def download(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan) -> HttpResponse:
    """A version of a plan as JSON or YAML: by default the active one, or else the draft."""
    form = request.GET.get("format", "json")
    if form not in FORMATS:
        raise Http404
    version, name = None, plan.key
    if number := request.GET.get("version"):
        version = get_object_or_404(plan.versions, number=number if number.isdecimal() and len(number) < 10 else -1)
        name = f"{plan.key}-v{version.number}"
    response = HttpResponse(
        write_text(export_plan(plan, version=version), form), content_type=f"{CONTENT_TYPES[form]}; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


class DocumentForm(forms.Form):
    file = forms.FileField(required=False, help_text="JSON or YAML.")
    text = forms.CharField(
        required=False,
        strip=False,
        label="Or its text",
        widget=forms.Textarea(attrs={"rows": 16, "class": "csv-text", "spellcheck": "false"}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MOST_BYTES:
            raise forms.ValidationError(f"At most {MOST_BYTES:,} bytes.")
        return file

    def clean_text(self) -> str:
        text = str(self.cleaned_data["text"])
        if len(text) > MOST_BYTES:
            raise forms.ValidationError(f"At most {MOST_BYTES:,} characters.")
        return text

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors:
            return data
        if data["file"]:
            try:
                data["text"] = data["file"].read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", "This is no text in UTF-8.")
                return data
        if not data["text"].strip():
            self.add_error("text", "Choose a file, or paste the document.")
            return data
        try:
            data["document"] = read_text(data["text"], "json" if data["text"].lstrip().startswith("{") else "yaml")
        except DocumentFault as fault:
            self.add_error("file" if data["file"] else "text", str(fault))
        return data


def apply_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Shows what a document changes, and makes it the plan's draft once that was seen."""
    form = DocumentForm(posted(request), request.FILES or None)
    faults: list[tuple[str, str]] = []
    would: Applied | None = None
    checked = ""
    if form.is_bound and form.is_valid():
        text, document = form.cleaned_data["text"], form.cleaned_data["document"]
        checked = sha256(text.encode()).hexdigest()
        # What is applied is what was shown: a text that was edited since is shown anew.
        seen = "apply" in request.POST and request.POST.get("checked") == checked
        try:
            applied = apply_plan(document, dry_run=not seen, actor=request.user.get_username())
        except ValidationError as error:
            faults = [(path, said) for path, texts in error.message_dict.items() for said in texts]
        else:
            if seen:
                return _applied(model_admin, request, applied)
            would = applied
        form = DocumentForm(initial={"text": text})
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Apply a document",
        "form": form,
        "faults": faults,
        "would": would,
        "is_new": would is not None and not Plan.objects.filter(key=would.plan.key).exists(),
        "checked": checked,
        "crumbs": [app_crumb([list_crumb(Plan)]), list_crumb(Plan)],
        "back": reverse("admin:pricing_plan_changelist"),
    }
    return TemplateResponse(request, "admin/pricing/plan/apply.html", context)


def _applied(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, applied: Applied) -> HttpResponse:
    plan, version = applied.plan, applied.version
    if not applied.differences:
        done = f"{plan} says that already: nothing is changed."
    elif version is None:
        done = f"{plan} is changed by a document; its prices stay."
    else:
        done = f"{version} says what the document says, a draft: activate it when it is to count."
    if applied.differences:
        model_admin.log_change(request, plan, done)
    model_admin.message_user(request, done, messages.SUCCESS)
    return HttpResponseRedirect(plan_url(plan.pk))
