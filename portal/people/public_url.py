"""Under which address people reach the portal."""

from django.conf import settings
from django.http import HttpRequest


def base_of(request: HttpRequest) -> str:
    """What links in mails begin with: PUBLIC_URL. Unset, it is the host that was asked for, where ALLOWED_HOSTS names
    it: a link to a host that anybody may make up would hand its secret to them. Empty where neither is there."""
    if settings.PUBLIC_URL:
        return settings.PUBLIC_URL
    if "*" in settings.ALLOWED_HOSTS:
        return ""
    return f"{'https' if settings.HTTPS else request.scheme}://{request.get_host()}"
