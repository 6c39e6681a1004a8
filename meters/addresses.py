"""Where a request comes from."""

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str | None:
    """The address of who asks. Behind PROXIES proxies it is what the outermost of them says it was asked from: what
    stands further left in X-Forwarded-For was sent by who asks, and may be anything."""
    said = request.META.get("REMOTE_ADDR", "")
    if settings.PROXIES:
        named = [hop for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
        said = [said, *reversed(named)][: settings.PROXIES + 1][-1]
    try:
        return str(ip_address(said.strip()))
    except ValueError:
        return None
