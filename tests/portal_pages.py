"""Which pages the portal has: found in its URLs, so that a new one is tried, measured and looked at without a word."""

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver, reverse

# Not pages: they send somebody away, or are only posted to.
NO_PAGES = {"sign-in", "sign-out", "leave", "switch-customer"}
# It is asked for one event.
ASKED = {"usage-event"}


def plain_pages() -> dict[str, str]:
    """Paths by name, of those that need to be told nothing. Some may only take POST, or send elsewhere."""
    return {
        name: reverse(f"portal:{name}")
        for name, pattern in _patterns()
        if not pattern.pattern.converters and name not in NO_PAGES | ASKED
    }


def told_pages() -> list[str]:
    """The names of those that are about one thing of the customer's."""
    return [name for name, pattern in _patterns() if pattern.pattern.converters]


def _patterns() -> Iterator[tuple[str, URLPattern]]:
    """Of what ends like a page: files and pictures do not."""
    portal = next(one for one in get_resolver().url_patterns if getattr(one, "app_name", "") == "portal")
    assert isinstance(portal, URLResolver)
    for one in portal.url_patterns:
        # What is included is no page of the portal: embeds have another door.
        if isinstance(one, URLPattern) and one.name and (not str(one.pattern) or str(one.pattern).endswith("/")):
            yield one.name, one
