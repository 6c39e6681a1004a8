"""What the front page of the admin says of work that is parked."""

from typing import Any

from django import template

from invoices.admin.failing import parked_words

register = template.Library()


@register.inclusion_tag("admin/invoices/_parked_notice.html", takes_context=True)
def parked_notice(context: Any) -> dict[str, str]:
    return {"words": parked_words(context["request"])}
