"""What customers did with their own API keys. The keys themselves are among all API keys."""

from django.contrib import admin

from meters.admin.base import ModelAdmin, ReadOnly, instant
from portal.models import ReadKeyEvent


@admin.register(ReadKeyEvent)
class ReadKeyEventAdmin(ReadOnly, ModelAdmin[ReadKeyEvent]):
    list_display = ["when", "customer", "what", "key", "actor"]
    list_filter = ["what"]
    list_select_related = ["customer", "key"]
    search_fields = ["customer__key", "customer__name", "actor", "key__name"]
    show_full_result_count = False
    fields = ["when", "customer", "what", "key", "actor"]
    readonly_fields = ["when"]

    @admin.display(description="when", ordering="id")
    def when(self, event: ReadKeyEvent) -> str:
        return instant(event.at)
