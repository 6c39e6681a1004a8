"""The audit log for staff: a list that is searched, of objects that are gone, too."""

from datetime import UTC
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse

from meters.admin.base import ModelAdmin, ReadOnly, instant, require
from meters.audit_log.reading import AuditPage, AuditQuery, page, tables_seen
from meters.audit_log.words import entries_of, thing_words
from meters.models import AuditHead, AuditRow

PER_PAGE = 50
LONGEST_ID = 200


class AuditSearch(forms.Form):
    """The query string of the audit log."""

    table = forms.ChoiceField(required=False, label="Kind of object")
    object = forms.CharField(required=False, max_length=LONGEST_ID, label="Its id")
    who = forms.CharField(required=False, max_length=LONGEST_ID, label="Who, by name")
    start = forms.DateTimeField(
        required=False, label="From (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    end = forms.DateTimeField(
        required=False, label="To (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    request = forms.CharField(required=False, max_length=64, label="Request id")

    def __init__(self, data: QueryDict, seen: frozenset[str]) -> None:
        super().__init__(data)
        named = sorted((thing_words(table), table) for table in seen)
        self.fields["table"].choices = [("", "All"), *((table, words) for words, table in named)]  # type: ignore[attr-defined]
        self.query = AuditQuery()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors:
            if data["object"] and not data["table"]:
                self.add_error("table", "Say what kind of object has this id.")
            if data["start"] and data["end"] and data["end"] <= data["start"]:
                self.add_error("end", "This is not after the beginning.")
        if not self.errors:
            self.query = AuditQuery(
                table=data["table"],
                object_id=data["object"],
                who=data["who"],
                request_id=data["request"],
                start=data["start"] and data["start"].replace(tzinfo=UTC),
                end=data["end"] and data["end"].replace(tzinfo=UTC),
            )
        return data


@admin.register(AuditRow)
class AuditRowAdmin(ReadOnly, ModelAdmin[AuditRow]):
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(self.has_view_permission(request))
        seen = tables_seen(request.user.has_perm)
        search = AuditSearch(request.GET, seen)
        found, wrong_cursor = AuditPage([], None), False
        if search.is_valid():
            try:
                found = page(search.query, seen=seen, limit=PER_PAGE, cursor=request.GET.get("cursor"))
            except ValidationError:
                wrong_cursor = True
        asked = request.GET.copy()
        cursor = asked.pop("cursor", None)
        older = asked.copy()
        older["cursor"] = found.older or ""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Audit log",
            "search": search,
            "asked": asked.urlencode(),
            "entries": entries_of(found.rows),
            "wrong_cursor": wrong_cursor,
            "is_older": bool(cursor),
            "older": f"?{older.urlencode()}" if found.older else "",
            **_head_words(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/meters/auditrow/change_list.html", context)

    def change_view(self, request: HttpRequest, object_id: str, *_: Any, **__: Any) -> HttpResponse:
        """One change: the list, of that change alone."""
        require(self.has_view_permission(request))
        seen = tables_seen(request.user.has_perm)
        row = self.get_object(request, object_id)
        if row is None or row.table_name not in seen:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Change {row.pk}",
            "entries": entries_of([row]),
            "row": row,
            "hash": bytes(row.hash).hex() if row.hash else "",
        }
        return TemplateResponse(request, "admin/meters/auditrow/change_form.html", context)


def _head_words() -> dict[str, Any]:
    """How far the chain has come and was verified."""
    head = AuditHead.objects.first()
    if head is None:
        return {"head": None}
    return {"head": head, "head_hash": bytes(head.hash).hex()[:16], "verified_at": instant(head.verified_at)}
