"""The links of every page."""

from typing import Any

from django import template

from portal.policy import offers_read_keys
from portal.sections import ACCOUNT, PAGES, Link, links
from portal.viewers import Viewer

register = template.Library()


@register.simple_tag(takes_context=True)
def page_links(context: dict[str, Any]) -> list[Link]:
    return links(PAGES, _here(context))


@register.simple_tag(takes_context=True)
def account_links(context: dict[str, Any]) -> list[Link]:
    viewer = getattr(context.get("request"), "viewer", None)
    return [link for link in links(ACCOUNT, _here(context)) if _is_for(viewer, link.section.name)]


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any]) -> str:
    """The name of this page's address; empty where it is none of the portal's."""
    return _here(context)


def _is_for(viewer: Viewer | None, name: str) -> bool:
    """Whether the page is there for who looks."""
    match name:
        case "api-access":
            return viewer is not None and viewer.may_own and offers_read_keys()
        case "account":
            return viewer is None or viewer.user is not None
    return True


def _here(context: dict[str, Any]) -> str:
    match = getattr(context.get("request"), "resolver_match", None)
    return match.url_name or "" if match and match.app_name == "portal" else ""
