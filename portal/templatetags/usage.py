"""Addresses and counts in the templates of usage and the event log."""

from django import template
from django.urls import reverse
from django.utils.http import urlencode

from meters.models import Event

register = template.Library()


@register.simple_tag
def event_address(event: Event) -> str:
    query = urlencode({"meter": event.meter.key, "id": event.event_id})
    return f"{reverse('portal:usage-event')}?{query}"


@register.filter
def count(number: int) -> str:
    return f"{number:,}"
