"""The page of the brand: how the vendor looks on pages, mails and papers, with what that comes to beside it."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from invoices.admin.mails import html_page
from invoices.brand_changes import TEXTS, drafted, set_brand
from invoices.brand_preview import accent_words, data_url, example_mail, example_paper, preview_brand
from invoices.branding import css_of, newest
from invoices.colours import ColourError, accents_of
from invoices.logos import MOST_BYTES, Logo, logo_of
from invoices.models import BrandVersion
from invoices.papers.files import PDF
from invoices.papers.pdf import pdf_of
from invoices.policy import billing_policy
from meters.admin.base import KeepsRows, ModelAdmin, add_errors, instant, require
from pricing.admin.form_page import posted

LONG = {"class": "vTextField", "autocomplete": "off"}
PLAIN = LONG | {"spellcheck": "false"}
PICTURES = {"accept": "image/png,image/jpeg,image/webp"}
# Of the pieces of the page that show a brand.
PREVIEW = ".brand-preview"


class LogoField(forms.FileField):
    """Answers a Logo, or None where no file was given."""

    widget = forms.FileInput(attrs=PICTURES)

    def clean(self, data: Any, initial: Any = None) -> Logo | None:
        file = super().clean(data, initial)
        if not isinstance(file, UploadedFile):
            return None
        return logo_of(file.read(MOST_BYTES + 1))


class BrandForm(forms.Form):
    name = forms.CharField(max_length=100, required=False, widget=forms.TextInput(attrs=LONG))
    accent = forms.CharField(
        label="Accent colour",
        max_length=30,
        required=False,
        widget=forms.TextInput(attrs=PLAIN | {"class": "brand-accent"}),
        help_text="Of links, buttons and marks: # and six digits from 0 to f. It is made darker or paler where light "
        "or dark pages need that to be readable. Empty: Tollmeter’s green.",
    )
    logo = LogoField(
        required=False,
        help_text=f"PNG, JPEG or WebP, at most {MOST_BYTES // 1024} KB. It stands where the name would; a picture that "
        "is wider than high looks best. What else the file holds is not kept.",
    )
    no_logo = forms.BooleanField(label="No logo", required=False)
    dark_logo = LogoField(
        label="Logo for dark pages",
        required=False,
        help_text="Without one, the logo stands on white there.",
    )
    no_dark_logo = forms.BooleanField(label="No logo for dark pages", required=False)
    support_url = forms.CharField(
        label="Support link",
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="At the foot of pages and mails: https://example.com/help, or mailto:help@example.com.",
    )
    legal_footer = forms.CharField(
        max_length=600,
        required=False,
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}),
        help_text="What your law has you say of yourself, such as where you are registered: at the foot of pages, "
        "mails and papers. Where to pay to is another thing, and is in the billing policy.",
    )
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, data: Any, files: Any, *, last: BrandVersion | None) -> None:
        self.last = last
        stored = {name: getattr(last, name, "") for name in TEXTS}
        super().__init__(data, files, initial={**stored, "seen": last.pk if last else 0})
        self.fields["name"].help_text = (
            "What customers know you by, on pages and in mails. Invoices are sent in the name of the billing policy, "
            f"where that has one. Empty: {billing_policy().seller_name or settings.COMPANY_NAME}."
        )
        if last is None or last.logo is None:
            del self.fields["no_logo"]
        if last is None or last.dark_logo is None:
            del self.fields["no_dark_logo"]

    def changes(self) -> dict[str, Any]:
        """What is right of it; a logo only where one is given or taken away."""
        data = self.cleaned_data
        changes: dict[str, Any] = {name: data[name] for name in TEXTS if name in data}
        for name in ("logo", "dark_logo"):
            if data.get(name) is not None:
                changes[name] = data[name]
            elif data.get(f"no_{name}") or (name == "dark_logo" and data.get("no_logo")):
                changes[name] = None
        return changes


@admin.register(BrandVersion)
class BrandAdmin(KeepsRows, ModelAdmin[BrandVersion]):
    """One brand, so the list is the page; each that is saved is another row."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        views = {
            "preview/": (require_POST(self.preview_view), "preview"),
            "preview.css": (self.css_view, "css"),
            "mail/": (require_POST(self.mail_view), "mail"),
            "paper.pdf": (require_POST(self.paper_view), "paper"),
        }
        named = [
            path(where, self.admin_site.admin_view(view), name=f"invoices_brandversion_{name}")
            for where, (view, name) in views.items()
        ]
        return [*named, *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:invoices_brandversion_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(self.has_view_permission(request))
        may_change = self.has_change_permission(request)
        require(may_change or request.method != "POST")
        last = newest()
        form = BrandForm(posted(request), request.FILES or None, last=last)
        if not may_change:
            for field in form.fields.values():
                field.disabled = True
        if request.method == "POST" and form.is_valid():
            try:
                return self._save(request, form)
            except ValidationError as error:
                add_errors(form, error)
        context = {
            **self.admin_site.each_context(request),
            **_shown(form),
            "opts": self.opts,
            "title": "Brand",
            "form": form,
            "last": last,
            "saved": instant(last.saved_at) if last else "",
            "logo": data_url(last.logo) if last else "",
            "dark_logo": data_url(last.dark_logo) if last else "",
            "may_change": may_change,
        }
        return TemplateResponse(request, "admin/invoices/brand.html", context)

    def _save(self, request: HttpRequest, form: BrandForm) -> HttpResponse:
        before = form.last.pk if form.last else 0
        by = request.user.get_username()
        row = set_brand(changes=form.changes(), by=by, now=timezone.now(), seen=form.cleaned_data["seen"])
        if row.pk == before:
            self.message_user(request, "Nothing has changed.", messages.INFO)
        else:
            changed = [name for name in form.changed_data if name != "seen"]
            self.log_change(request, row, f"Changed: {', '.join(changed)}")
            self.message_user(request, "Saved. Pages have it within seconds.", messages.SUCCESS)
        return HttpResponseRedirect(request.path)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        form = self._typed(request)
        return TemplateResponse(request, "admin/invoices/_brand_preview.html", _shown(form))

    def mail_view(self, request: HttpRequest) -> HttpResponse:
        return html_page(request, example_mail(_draft(self._typed(request))))

    def paper_view(self, request: HttpRequest) -> HttpResponse:
        paper = example_paper(_draft(self._typed(request)), timezone.now())
        return HttpResponse(pdf_of(paper), content_type=PDF, headers={"Content-Disposition": "inline"})

    def css_view(self, request: HttpRequest) -> HttpResponse:
        """The tokens of an accent, for the pieces of the page that show it."""
        require(self.has_view_permission(request))
        try:
            css = css_of(accents_of(request.GET.get("accent", "").lower()), PREVIEW)
        except ColourError:
            css = ""
        return HttpResponse(css, content_type="text/css; charset=utf-8")

    def _typed(self, request: HttpRequest) -> BrandForm:
        """What stands in the page's form, right or wrong."""
        require(self.has_change_permission(request))
        return BrandForm(request.POST, request.FILES, last=newest())


def _draft(form: BrandForm) -> BrandVersion:
    form.is_valid()
    return drafted(form.last, form.changes() if form.is_bound else {})


def _shown(form: BrandForm) -> dict[str, Any]:
    row = _draft(form)
    typed = row.accent
    preview = preview_brand(row)
    files = [fault for name in ("logo", "dark_logo") for fault in form.errors.get(name, [])]
    return {
        "preview": preview,
        "accent_words": accent_words(typed),
        "faults": [*preview.faults, *files],
        "schemes": ["light", "dark"],
    }
