"""Voiding events and bringing them back: what it would change is shown first, and a reason asked for."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, add_errors, chip, instant, messages_of, number, require
from meters.admin.event_search import EventSearch, refs_of
from meters.models import VoidRecord
from meters.voiding import (
    MAX_REASON,
    Selection,
    Voided,
    select_events,
    selection_of,
    unvoid_events,
    void_events,
)

# More customers and meters than anybody reads; the rest is said as a number.
SHOWN = 50


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
        help_text="Kept on record with your name.",
        error_messages={"required": "Say why."},
    )


def may_void(request: HttpRequest) -> bool:
    """Who voids sees events too: what it would change tells of them."""
    return request.user.has_perms(["meters.add_voidrecord", "meters.view_event"])


def void_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Takes what the address names (events, or a search) out of the figures."""
    return _page(model_admin, request, void_events, "Void events")


def unvoid_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    """Brings back what the address names: events, a search, or what a void holds out."""
    return _page(model_admin, request, unvoid_events, "Bring events back")


def _page(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, change: Callable[..., Voided], title: str
) -> HttpResponse:
    require(may_void(request))
    actor = request.user.get_username()
    form = ReasonForm(request.POST if request.method == "POST" else None)
    would, refusal = None, ""
    try:
        selection = _selection(request)
        if request.method == "POST" and form.is_valid():
            try:
                return _done(request, change(selection, reason=form.cleaned_data["reason"], actor=actor))
            except ValidationError as error:
                add_errors(form, error)
        would = change(selection, reason="", actor=actor, dry_run=True)
    except ValidationError as error:
        refusal = messages_of(error)
    changes = would.changes if would else ()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "is_void": change is void_events,
        "form": form,
        "would": would,
        "refusal": refusal,
        "changes": [(row, number(row.sum)) for row in changes[:SHOWN]],
        "left_out": max(0, len(changes) - SHOWN),
        "back": _back(request),
    }
    return TemplateResponse(request, "admin/meters/event/void.html", context)


def _selection(request: HttpRequest) -> Selection:
    """What the address names. Raises ValidationError where it names nothing that can be voided."""
    if record := request.GET.get("record"):
        held_by = (
            VoidRecord.objects.filter(pk=record, kind=VoidRecord.Kind.VOID).first() if record.isdecimal() else None
        )
        if held_by is None:
            raise Http404
        return selection_of(held_by)
    if "event" in request.GET:
        return select_events(refs=refs_of(request.GET.getlist("event")))
    if "selected" in request.GET:
        raise ValidationError("No event was ticked.")
    search = EventSearch(request.GET)
    if not search.is_valid():
        raise ValidationError([message for errors in search.errors.values() for message in errors])
    return select_events(query=search.query)


def _done(request: HttpRequest, done: Voided) -> HttpResponse:
    if done.record is None:
        messages.warning(request, "Nothing was changed: it was done already.")
        return HttpResponseRedirect(_back(request))
    said = "voided. No figure counts them" if done.record.kind == VoidRecord.Kind.VOID else "brought back. They count"
    events = f"{done.events:,} event{'' if done.events == 1 else 's'}"
    messages.success(request, f"{events} {said}, and open invoices follow.")
    return HttpResponseRedirect(reverse("admin:meters_voidrecord_change", args=[done.record.pk]))


def _back(request: HttpRequest) -> str:
    """Where the staff member came from: the list with its search, or the record."""
    if record := request.GET.get("record"):
        return reverse("admin:meters_voidrecord_change", args=[record])
    asked = {name: request.GET[name] for name in EventSearch.base_fields if request.GET.get(name)}
    return f"{reverse('admin:meters_event_changelist')}?{urlencode(asked)}"


@admin.register(VoidRecord)
class VoidRecordAdmin(ReadOnly, ModelAdmin[VoidRecord]):
    """Who voided what, and why."""

    change_form_template = "admin/meters/voidrecord/change_form.html"
    list_display = ["number", "what", "events", "reason", "actor", "at"]
    list_display_links = ["number"]
    list_filter = ["kind"]
    search_fields = ["reason", "actor"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    readonly_fields = ["what", "events", "reason", "actor", "at", "asked"]
    fields = [*readonly_fields]

    @admin.display(description="record", ordering="id")
    def number(self, record: VoidRecord) -> str:
        return f"{record.id}"

    @admin.display(description="what")
    def what(self, record: VoidRecord) -> SafeString:
        return chip("Void", "bad") if record.kind == VoidRecord.Kind.VOID else chip("Brought back", "good")

    @admin.display(description="time")
    def at(self, record: VoidRecord) -> str:
        return instant(record.created_at)

    @admin.display(description="what was asked for")
    def asked(self, record: VoidRecord) -> str:
        return selection_words(record.selection)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = self.get_object(request, object_id)
        if record is not None and record.kind == VoidRecord.Kind.VOID and may_void(request):
            undo = f"{reverse('admin:meters_event_unvoid')}?{urlencode({'record': record.pk})}"
            extra_context = {"undo": undo, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)


def selection_words(selection: dict[str, Any]) -> str:
    """ "customer acme, meter ApiCalls, source=crm"; of ids the first few."""
    if "record" in selection:
        return f"What void {selection['record']} held out"
    if "events" in selection:
        named = [f"{ref['customer']} {ref['id']}" for ref in selection["events"][:10]]
        more = len(selection["events"]) - len(named)
        return ", ".join(named) + (f" and {more:,} more" if more else "")
    words = [f"{name} {text}" for name, text in selection["filter"].items() if name != "dimensions"]
    words += [f"{name}={text}" for name, text in selection["filter"].get("dimensions", {}).items()]
    return ", ".join(words)
