"""The meter page, extended by what ticking "used for billing" does."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from meters.admin.meters import MeterAdmin
from meters.models import Meter
from pricing.models import ProductItem

admin.site.unregister(Meter)


@admin.register(Meter)
class BilledMeterAdmin(MeterAdmin):
    def save_model(self, request: HttpRequest, obj: Meter, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "used_for_billing" not in form.changed_data:
            return
        item = ProductItem.objects.filter(meter=obj).first()
        if item is None:
            return
        url = reverse("admin:pricing_productitem_change", args=[item.pk])
        if obj.used_for_billing:
            text = 'The product item <a href="{}">{}</a> is ready: plans can put a price on it.'
        else:
            text = 'The product item <a href="{}">{}</a> is retired: no plan can add it any more.'
        messages.success(request, format_html(text, url, item))
