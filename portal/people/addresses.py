"""Where a request comes from, and by which browser."""

from django.http import HttpRequest

from meters.addresses import address_of

__all__ = ["address_of", "agent_of"]

LONGEST_AGENT = 200


def agent_of(request: HttpRequest) -> str:
    """What the browser calls itself."""
    return request.headers.get("User-Agent", "").replace("\0", "")[:LONGEST_AGENT]
