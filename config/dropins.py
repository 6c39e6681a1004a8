"""APIs of others that ours stands in for. Each is mounted below a prefix of its own, and off without one."""

from django.conf import settings
from django.urls import URLResolver, include, path


def patterns() -> list[URLResolver]:
    mounted = (
        (settings.AMBERFLO_PREFIX, "config.amberflo_urls"),
        (settings.OPENMETER_PREFIX, "meters.api.openmeter"),
    )
    return [path(prefix, include(urls)) for prefix, urls in mounted if prefix]


def is_dropin(address: str) -> bool:
    """Whether the address is one of theirs."""
    prefixes = (settings.AMBERFLO_PREFIX, settings.OPENMETER_PREFIX)
    return any(prefix and address.startswith(f"/{prefix}") for prefix in prefixes)
