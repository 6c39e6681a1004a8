"""What was done to customers' assignments, by which rule or by whom."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import admin
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, link
from pricing.admin.form_page import change_url
from pricing.models import AssignmentLog

CHIPS = {
    AssignmentLog.Kind.ASSIGNED: "good",
    AssignmentLog.Kind.ENDED: "quiet",
    AssignmentLog.Kind.REOPENED: "good",
    AssignmentLog.Kind.QUANTITY: "busy",
    AssignmentLog.Kind.UNMATCHED: "bad",
}


@dataclass(frozen=True, slots=True)
class LogRow:
    at: str
    what: SafeString
    detail: str
    by: str


def log_rows(entries: Iterable[AssignmentLog]) -> list[LogRow]:
    return [LogRow(instant(entry.at), what_chip(entry), entry.detail, by_words(entry)) for entry in entries]


def what_chip(entry: AssignmentLog) -> SafeString:
    return chip(str(entry.get_kind_display()), CHIPS[AssignmentLog.Kind(entry.kind)])


def by_words(entry: AssignmentLog) -> str:
    """ "Rule 10: Basic" as it was then, "Default plan", "Staff: anna"."""
    who = entry.rule_words or str(entry.get_source_display())
    return f"{who}: {entry.actor}" if entry.actor else who


@admin.register(AssignmentLog)
class AssignmentLogAdmin(ReadOnly, ModelAdmin[AssignmentLog]):
    list_display = ["time", "customer_link", "what", "detail", "by"]
    list_display_links = None
    list_filter = ["kind", "source"]
    list_select_related = ["customer"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["customer__key", "customer__name", "detail", "actor"]
    search_help_text = "Customer, plan, or who did it"
    readonly_fields = ["time", "customer_link", "what", "detail", "by"]
    fields = [*readonly_fields]

    @admin.display(description="time", ordering="id")
    def time(self, entry: AssignmentLog) -> str:
        return instant(entry.at)

    @admin.display(description="customer", ordering="customer__key")
    def customer_link(self, entry: AssignmentLog) -> SafeString:
        return link(change_url(entry.customer), entry.customer)

    @admin.display(description="what", ordering="kind")
    def what(self, entry: AssignmentLog) -> SafeString:
        return what_chip(entry)

    @admin.display(description="by", ordering="source")
    def by(self, entry: AssignmentLog) -> str:
        return by_words(entry)
