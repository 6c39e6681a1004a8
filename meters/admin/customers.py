from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm
from meters.admin.fields import TraitsField, can_be_typed, time_zone_choices
from meters.admin.usage_page import usage_page
from meters.customers import EDITABLE, create_customer, update_customer
from meters.models import Customer
from meters.words import day_words

Link = tuple[str, str]


class CustomerForm(ServiceForm):
    traits = TraitsField(
        required=False,
        help_text="What assignment rules look at, one <code>name=value</code> a line.",
    )
    time_zone = forms.ChoiceField(
        required=False, choices=time_zone_choices, help_text="Days and months begin at midnight here."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "traits" in self.fields and not can_be_typed(self.instance.traits):
            self.fields["traits"].disabled = True
            self.fields["traits"].help_text = "Cannot be written in lines; change it through the API."

    def call_service(self) -> Customer:
        data = {name: self.cleaned_data[name] for name in EDITABLE if name in self.cleaned_data}
        if self.instance.pk is None:
            return create_customer(key=self.cleaned_data["key"], source=Customer.Source.ADMIN, **data)
        changes = {name: value for name, value in data.items() if name in self.changed_data}
        return update_customer(self.instance, changes=changes) if changes else self.instance


@admin.register(Customer)
class CustomerAdmin(ServiceAdmin, KeepsRows, ModelAdmin[Customer]):
    """Extended by the layers above with what they know of a customer."""

    form = CustomerForm
    change_form_template = "admin/meters/customer/change_form.html"
    list_display = ["key", "name", "source", "created"]
    list_filter = ["source"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["key", "name", "email"]

    @admin.display(description="created", ordering="created_at")
    def created(self, customer: Customer) -> str:
        return day_words(customer.created_at.date())

    def get_fields(self, request: HttpRequest, obj: Customer | None = None) -> Any:
        fields = ["key", "name", "email", "time_zone", "traits"]
        return [*fields, "source", "created"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Customer | None = None) -> list[str]:
        return ["key", "source", "created"] if obj else []

    def links(self, customer: Customer) -> list[Link]:
        """Where else to look: label and address, shown at the top of a customer's page."""
        return [
            ("Usage", reverse("admin:meters_customer_usage", args=[customer.pk])),
            ("Events", f"{reverse('admin:meters_event_changelist')}?{urlencode({'customer': customer.key})}"),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        context = {"links": self.links(customer) if customer else []}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        usage = path("<int:pk>/usage/", self.admin_site.admin_view(self.usage_view), name="meters_customer_usage")
        return [usage, *super().get_urls()]

    def usage_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return usage_page(self, request, pk)
