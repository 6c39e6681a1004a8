"""Lists whose order means something: each row with the buttons that move it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, require
from pricing.ordering import Ordered, move

WAYS = [("up", "Earlier", "↑"), ("down", "Later", "↓")]


class InOrder(ModelAdmin[Ordered]):
    """For a model with a position: the list has no other order, and who may change it sees the column `moves`."""

    ordering = ["position", "id"]
    sortable_by = ()

    def get_list_display(self, request: HttpRequest) -> Any:
        may_move = self.has_change_permission(request)
        return [name for name in self.list_display if may_move or name != "moves"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Ordered]":
        # Of all rows, also those that a filter leaves out: that is what they move among.
        rows = self.model._default_manager.order_by("position", "id").values("pk")
        found: Any = super().get_queryset(request)
        shown: QuerySet[Ordered] = found.annotate(first=Subquery(rows[:1]), last=Subquery(rows.reverse()[:1]))
        return shown

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.move_view)
        return [path("<int:pk>/move/<str:way>/", view, name=f"{self._name()}_move"), *super().get_urls()]

    def move_view(self, request: HttpRequest, pk: int, way: str) -> HttpResponse:
        require(self.has_change_permission(request))
        row = get_object_or_404(self.model, pk=pk)
        if request.method != "POST" or way not in ("up", "down"):
            return HttpResponseNotAllowed(["POST"])
        if move(row, up=way == "up"):
            self.log_change(request, row, f"Moved {way}.")
        return HttpResponseRedirect(reverse(f"admin:{self._name()}_changelist"))

    @admin.display(description="order")
    def moves(self, row: Any) -> SafeString:
        """The buttons; they belong to the list's own form, which brings the token. The first row goes no earlier, and
        the last no later."""
        end = {"up": row.first, "down": row.last}
        buttons = format_html_join(
            "",
            '<button type="submit" formaction="{}" title="{}">{}<span class="visually-hidden"> {}</span></button>',
            (
                (reverse(f"admin:{self._name()}_move", args=[row.pk, way]), title, sign, f"{title}: {row}")
                for way, title, sign in WAYS
                if row.pk != end[way]
            ),
        )
        return format_html('<span class="moves">{}</span>', buttons)

    def _name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"
