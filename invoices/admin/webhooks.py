"""Webhooks for staff: endpoints, whose secrets are shown once, and deliveries with what came back."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from invoices.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from invoices.webhooks.delivering import replay
from invoices.webhooks.endpoints import (
    LONGEST_OVERLAP_HOURS,
    LONGEST_URL,
    OVERLAP_HOURS,
    create_endpoint,
    rotate_secret,
    update_endpoint,
)
from meters.admin.base import (
    ModelAdmin,
    ReadOnly,
    ServiceAdmin,
    ServiceForm,
    chip,
    instant,
    link,
    messages_of,
    require,
)
from pricing.admin.form_page import change_url, list_crumb, posted, row_crumb

Status = WebhookDelivery.Status
CHIPS = {Status.WAITING: "busy", Status.DELIVERED: "good", Status.FAILED: "bad"}
SHOWN = 20


class EndpointForm(ServiceForm):
    url = forms.CharField(
        label="URL",
        max_length=LONGEST_URL,
        widget=forms.URLInput(attrs={"class": "vTextField"}),
        help_text="Begins with https://; inside your own network http:// will do.",
    )
    types = forms.MultipleChoiceField(
        label="Events",
        choices=OutboxEvent.Type.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: all of them, also those that come with later versions.",
    )

    def call_service(self) -> WebhookEndpoint:
        if self.instance.pk is None:
            return create_endpoint(**self.cleaned_data)
        changed = {name: self.cleaned_data[name] for name in self.changed_data}
        return update_endpoint(WebhookEndpoint.objects.get(pk=self.instance.pk), changes=changed)


class RotateForm(forms.Form):
    overlap_hours = forms.IntegerField(
        label="Hours of overlap",
        min_value=0,
        max_value=LONGEST_OVERLAP_HOURS,
        initial=OVERLAP_HOURS,
        help_text="For so long deliveries are signed with the secret of now as well. 0: it ends at once.",
    )


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ServiceAdmin, ModelAdmin[WebhookEndpoint]):
    form = EndpointForm
    list_display = ["url", "description", "state", "events", "waiting", "failed"]
    search_fields = ["url", "description"]
    change_form_template = "admin/invoices/webhookendpoint/change_form.html"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[WebhookEndpoint]":
        counts = {
            f"{status}_count": Count("deliveries", filter=Q(deliveries__status=status))
            for status in (Status.WAITING.value, Status.FAILED.value)
        }
        return super().get_queryset(request).annotate(**counts)

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:
        fields = ["url", "description", "types", "allow_private"]
        return fields if obj is None else [*fields, "enabled", "secrets", "created"]

    def get_readonly_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> Any:
        return [] if obj is None else ["secrets", "created"]

    @admin.display(description="state", ordering="enabled")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        return chip("In use", "good") if endpoint.enabled else chip("Switched off", "quiet")

    @admin.display(description="events")
    def events(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.types) or "All"

    @admin.display(description="waiting")
    def waiting(self, endpoint: Any) -> int:
        return int(endpoint.waiting_count)

    @admin.display(description="failed")
    def failed(self, endpoint: Any) -> int:
        return int(endpoint.failed_count)

    @admin.display(description="secret")
    def secrets(self, endpoint: WebhookEndpoint) -> str:
        until = endpoint.old_secret_until
        if endpoint.old_secret and until is not None and until > timezone.now():
            return f"was shown once; the one before signs too until {instant(until)}"
        return "was shown once; rotate it for another one"

    @admin.display(description="created")
    def created(self, endpoint: WebhookEndpoint) -> str:
        return instant(endpoint.created_at)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Says what goes with it in one line: its log has rows by the thousand."""
        deliveries = WebhookDelivery.objects.filter(endpoint__in=list(objs)).count()
        told = [f"Endpoint {endpoint}" for endpoint in objs]
        return [*told, f"Deliveries with their log: {deliveries:,}"], {}, set(), []

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_once(request, obj)

    def _show_once(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        """The only page that ever shows the secret: an answer of its own, as a message would be stored in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The secret of the endpoint",
            "endpoint": endpoint,
            "old_until": instant(endpoint.old_secret_until),
        }
        return TemplateResponse(request, "admin/invoices/webhookendpoint/secret.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if endpoint is not None:
            newest = endpoint.deliveries.select_related("event").order_by("-id")[:SHOWN]
            everything = reverse("admin:invoices_webhookdelivery_changelist")
            context = {
                "deliveries": [_row(delivery) for delivery in newest],
                "all_url": f"{everything}?endpoint__id__exact={endpoint.pk}",
                "may_rotate": self.has_change_permission(request),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.rotate_view)
        return [path("<int:pk>/rotate/", view, name="invoices_webhookendpoint_rotate"), *super().get_urls()]

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks for the overlap, and then shows the new secret once."""
        require(self.has_change_permission(request))
        endpoint = get_object_or_404(WebhookEndpoint, pk=pk)
        form = RotateForm(posted(request))
        if request.method == "POST" and form.is_valid():
            rotated = rotate_secret(endpoint, **form.cleaned_data)
            self.log_change(request, rotated, "Secret rotated.")
            return self._show_once(request, rotated)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Rotate the secret",
            "form": form,
            "submit": "Rotate and show the new secret",
            "crumbs": [list_crumb(WebhookEndpoint), row_crumb(endpoint)],
            "back": change_url(endpoint),
        }
        return TemplateResponse(request, "admin/pricing/form_page.html", context)


def _row(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "url": change_url(delivery),
        "at": instant(delivery.created_at),
        "type": delivery.event.type,
        "about": delivery.about,
        "status": _chip(delivery),
        "attempts": delivery.attempts,
        "next": instant(delivery.next_try_at),
    }


def _chip(delivery: WebhookDelivery) -> SafeString:
    return chip(str(delivery.get_status_display()), CHIPS[Status(delivery.status)])


class EventFilter(admin.SimpleListFilter):
    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(OutboxEvent.Type.choices)

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(event__type=self.value()) if self.value() else queryset


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, ModelAdmin[WebhookDelivery]):
    list_display = ["label", "about", "endpoint", "status_chip", "attempts", "next_try", "delivered", "made"]
    list_display_links = ["label"]
    list_filter = ["status", EventFilter, "endpoint"]
    list_select_related = ["event", "endpoint"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["about", "event__message_id"]
    search_help_text = "What it is about, such as invoice:42, or the id of the message"
    actions = ["replay_selected"]
    change_form_template = "admin/invoices/webhookdelivery/change_form.html"
    readonly_fields = ["label", "message_id", "about", "endpoint_link", "status_chip", "made", "next_try", "delivered"]
    fields = tuple(readonly_fields)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Nobody changes a delivery by hand; who has Django's "change" may have it sent again."""
        return request.user.has_perm("invoices.change_webhookdelivery")

    @admin.display(description="event")
    def label(self, delivery: WebhookDelivery) -> str:
        return str(delivery.event.type)

    @admin.display(description="message id")
    def message_id(self, delivery: WebhookDelivery) -> str:
        return delivery.event.message_id

    @admin.display(description="endpoint")
    def endpoint_link(self, delivery: WebhookDelivery) -> SafeString:
        return link(change_url(delivery.endpoint), delivery.endpoint)

    @admin.display(description="status", ordering="status")
    def status_chip(self, delivery: WebhookDelivery) -> SafeString:
        return _chip(delivery)

    @admin.display(description="next try", ordering="next_try_at")
    def next_try(self, delivery: WebhookDelivery) -> str:
        return instant(delivery.next_try_at) or "-"

    @admin.display(description="delivered", ordering="delivered_at")
    def delivered(self, delivery: WebhookDelivery) -> str:
        return instant(delivery.delivered_at) or "-"

    @admin.display(description="made", ordering="id")
    def made(self, delivery: WebhookDelivery) -> str:
        return instant(delivery.created_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        context: dict[str, Any] = {"title": "Delivery"}
        if delivery is not None:
            context["tries"] = [(instant(one.at), one) for one in delivery.tries.order_by("-id")]
            context["may_replay"] = self.has_replay_permission(request)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.replay_view)
        return [path("<int:pk>/replay/", view, name="invoices_webhookdelivery_replay"), *super().get_urls()]

    def replay_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_replay_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        delivery = get_object_or_404(WebhookDelivery, pk=pk)
        self._replay(request, [delivery])
        return HttpResponseRedirect(change_url(delivery))

    @admin.action(description="Send again", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: "QuerySet[WebhookDelivery]") -> None:
        self._replay(request, list(queryset.order_by("pk")[:1000]))

    def _replay(self, request: HttpRequest, deliveries: list[WebhookDelivery]) -> None:
        refused: set[str] = set()
        done = 0
        for delivery in deliveries:
            try:
                replay(delivery.pk)
            except ValidationError as error:
                refused.add(messages_of(error))
            else:
                done += 1
                self.log_change(request, delivery, "Sent again.")
        if done:
            self.message_user(request, f"To be sent again within seconds: {done}.", messages.SUCCESS)
        for text in sorted(refused):
            self.message_user(request, f"Not sent again: {text}", messages.ERROR)
