"""Mails for staff: which kinds go out and what they look like, and what was sent."""

import base64
import hashlib
import re
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.safestring import SafeString

from invoices.mailing.mails import rendered, send_again, setting_of
from invoices.mailing.preview import preview_of
from invoices.models import Mail, MailSetting
from meters.admin.base import KeepsRows, ModelAdmin, ReadOnly, chip, instant, require

CHIPS = {Mail.Status.WAITING: "busy", Mail.Status.SENT: "good", Mail.Status.FAILED: "bad"}


def html_page(request: HttpRequest, html: str) -> HttpResponse:
    """A mail as a page of its own: nothing of it runs or is loaded, and of styles only the one that it has."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = hashlib.sha256(style.group(1).encode()).digest() if style else b""
    policy = {
        "default-src": [NONE],
        "script-src": [NONE],
        "connect-src": [NONE],
        "font-src": [NONE],
        "style-src": [f"'sha256-{base64.b64encode(digest).decode()}'"],
        "img-src": [SELF, "data:", *([settings.PUBLIC_URL] if settings.PUBLIC_URL else [])],
        "base-uri": [NONE],
        "form-action": [NONE],
        "frame-ancestors": [NONE],
    }
    answer: HttpResponse = csp_replace(policy)(lambda _: HttpResponse(html))(request)  # type: ignore[assignment]
    return answer


class MailSettingForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        widgets = {"greeting": forms.Textarea(attrs={"rows": 2}), "closing": forms.Textarea(attrs={"rows": 3})}
        labels = {"enabled": "Send these mails"}
        help_texts = {
            "subject": "Empty: as below, with its figures.",
            "greeting": "Stands above. Empty: Hello,",
            "closing": "Stands at the end. Empty: the company's name.",
        }


@admin.register(MailSetting)
class MailSettingAdmin(KeepsRows, ModelAdmin[MailSetting]):
    form = MailSettingForm
    list_display = ["name", "state", "subject"]
    fields = ["enabled", "subject", "greeting", "closing"]
    change_form_template = "admin/invoices/mailsetting/change_form.html"
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="mail", ordering="kind")
    def name(self, setting: MailSetting) -> str:
        return str(setting)

    @admin.display(description="state", ordering="enabled")
    def state(self, setting: MailSetting) -> SafeString:
        return chip("Sent", "good") if setting.enabled else chip("Not sent", "quiet")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Lists every kind there is."""
        missing = set(MailSetting.Kind.values) - set(MailSetting.objects.values_list("kind", flat=True))
        MailSetting.objects.bulk_create([MailSetting(kind=kind) for kind in sorted(missing)], ignore_conflicts=True)
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {}
        # Links of the admin have "_5F" for the "_" of a kind.
        kind = unquote(object_id)
        if kind in MailSetting.Kind.values:
            content, of = preview_of(kind)
            subject, text, _ = rendered(setting_of(kind), content)
            context = {"preview": {"subject": subject, "text": text, "of": of, "kind": kind}}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.html_view)
        return [path("<str:kind>/html/", view, name="invoices_mailsetting_html"), *super().get_urls()]

    def html_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        require(self.has_view_permission(request))
        if kind not in MailSetting.Kind.values:
            raise Http404
        content, _ = preview_of(kind)
        return html_page(request, rendered(setting_of(kind), content)[2])


@admin.register(Mail)
class MailAdmin(ReadOnly, ModelAdmin[Mail]):
    list_display = ["subject", "recipient", "kind", "status_chip", "attempts", "sent", "made", "error"]
    list_filter = ["status", "kind"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["recipient", "subject", "about"]
    actions = ["send_selected_again"]
    change_form_template = "admin/invoices/mail/change_form.html"
    fields = ("subject", "recipient", "kind", "about", "status_chip", "attempts", "next_try", "sent", "made", "error")
    readonly_fields = ["status_chip", "next_try", "sent", "made"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Nobody changes a mail by hand; who has Django's "change" may have it sent again."""
        return request.user.has_perm("invoices.change_mail")

    @admin.display(description="status", ordering="status")
    def status_chip(self, mail: Mail) -> SafeString:
        return chip(str(mail.get_status_display()), CHIPS[Mail.Status(mail.status)])

    @admin.display(description="next try", ordering="next_try_at")
    def next_try(self, mail: Mail) -> str:
        return instant(mail.next_try_at) or "-"

    @admin.display(description="sent", ordering="sent_at")
    def sent(self, mail: Mail) -> str:
        return instant(mail.sent_at) or "-"

    @admin.display(description="made", ordering="id")
    def made(self, mail: Mail) -> str:
        return instant(mail.created_at)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.html_view)
        return [path("<int:pk>/html/", view, name="invoices_mail_html"), *super().get_urls()]

    def html_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_view_permission(request))
        return html_page(request, get_object_or_404(Mail, pk=pk).html)

    @admin.action(description="Send again", permissions=["send"])
    def send_selected_again(self, request: HttpRequest, queryset: "QuerySet[Mail]") -> None:
        mails = list(queryset.order_by("pk")[:1000])
        for mail in mails:
            send_again(mail)
            self.log_change(request, mail, "Sent again.")
        self.message_user(request, f"To be sent again within seconds: {len(mails)}.", messages.SUCCESS)
