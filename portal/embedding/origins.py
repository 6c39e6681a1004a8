"""The origins that pages in frames may stand in: which texts are one. Pure."""

import re
from collections.abc import Iterable

MOST_ORIGINS = 5
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(rf"(https?)://({_LABEL}(?:\.{_LABEL})*)(?::([0-9]{{1,5}}))?")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class NotAnOrigin(ValueError):
    """The text is for whoever sent it."""


def origin_of(text: str) -> str:
    """The origin as browsers write it: "https://app.example:8443". Raises NotAnOrigin.

    What it lets through stands in a header and is compared as text, so it is strict: a name or an IPv4 address in
    ASCII, no path, no wildcard; without TLS this machine alone.
    """
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or len(found[2]) > 253:
        raise NotAnOrigin(
            "Write scheme, host and perhaps port, such as https://app.example or https://app.example:8443: no path, "
            "no slash at the end, no wildcard."
        )
    scheme, host, port = found.groups()
    if port is not None and not 0 < int(port) < 65536:
        raise NotAnOrigin("The port is a number from 1 to 65535.")
    if scheme == "http" and not is_this_machine(host):
        raise NotAnOrigin("Only https; http is taken of localhost alone.")
    shown = "" if port is None or int(port) == _DEFAULT_PORTS[scheme] else f":{int(port)}"
    return f"{scheme}://{host}{shown}"


def is_this_machine(host: str) -> bool:
    return host in ("localhost", "127.0.0.1") or host.endswith(".localhost")


def origins_of(texts: Iterable[str]) -> list[str]:
    """Each origin once, in the order given. Raises NotAnOrigin for the first that is none, and for none or too many."""
    origins = list(dict.fromkeys(origin_of(text) for text in texts))
    if not 0 < len(origins) <= MOST_ORIGINS:
        raise NotAnOrigin(f"Name one to {MOST_ORIGINS} origins.")
    return origins
