"""The links of every page."""

from typing import Any

from django import template

from portal.sections import ACCOUNT, PAGES, Link, links

register = template.Library()


@register.simple_tag(takes_context=True)
def page_links(context: dict[str, Any]) -> list[Link]:
    return links(PAGES, _here(context))


@register.simple_tag(takes_context=True)
def account_links(context: dict[str, Any]) -> list[Link]:
    return links(ACCOUNT, _here(context))


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any]) -> str:
    """The name of this page's address; empty where it is none of the portal's."""
    return _here(context)


def _here(context: dict[str, Any]) -> str:
    match = getattr(context.get("request"), "resolver_match", None)
    return match.url_name or "" if match and match.app_name == "portal" else ""
