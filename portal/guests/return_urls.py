"""Addresses of the vendor's own app that a customer may be led back to: which texts are one, and of which origin. Pure.

Browsers forgive much in an address, and take a backslash for a slash. So what can be read in two ways is refused.
"""

import re
from urllib.parse import urlsplit

LONGEST = 2000
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class NotAnAddress(ValueError):
    """The text is for whoever sent it."""


def origin_of(url: str) -> str:
    """The origin of an address as browsers write it: "https://app.example:8443". Raises NotAnAddress."""
    if len(url) > LONGEST:
        raise NotAnAddress(f"It has at most {LONGEST:,} characters.")
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise NotAnAddress("Write it in ASCII, without blanks and backslashes; what is not ASCII as %C3%BC.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAnAddress("This is not an address.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise NotAnAddress("It begins with https:// or http://.")
    if "@" in parts.netloc:
        raise NotAnAddress("It has no user name in it.")
    host = (parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc).lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise NotAnAddress("It names a host, such as https://app.example/account.")
    shown = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def just_origin(text: str) -> str:
    """The origin that a text is, with no path. Raises NotAnAddress."""
    origin = origin_of(text)
    # Not more is said than is meant: whoever writes a path expects it to count.
    if urlsplit(text).path not in ("", "/") or "?" in text or "#" in text:
        raise NotAnAddress("Write scheme and host alone, such as https://app.example: any page of it is meant.")
    return origin
