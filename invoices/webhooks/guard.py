"""Where a webhook may go: the addresses behind an endpoint's name, looked at before one of them is connected to.

Whoever may set up an endpoint could otherwise have this server ask what only it can reach: its own ports, the network
it is in, the metadata of its cloud. Names are resolved once; what was looked at is what is connected to, so a name
that points elsewhere a moment later (DNS rebinding) leads nowhere.
"""

import ipaddress
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
# IPv4 written as IPv6: translated on the way, or by an older rule.
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
COMPATIBLE = ipaddress.ip_network("::/96")
TRANSLATED_LOCALLY = ipaddress.ip_network("64:ff9b:1::/48")


class RefusedAddress(Exception):
    """An address that an endpoint must not lead to; says why, in words for staff."""


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses that a name stands for, all of which an endpoint may lead to.

    Raises RefusedAddress where one of them is not, and OSError where the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check_address(address, allow_private=allow_private)
    return addresses


def check_literal(host: str, *, allow_private: bool) -> None:
    """Looks at a host that is an address, however it is written (0x7f.1 is one), and at no name.

    Raises RefusedAddress.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    for entry in found:
        check_address(str(entry[4][0]), allow_private=allow_private)


def check_address(text: str, *, allow_private: bool) -> None:
    """Raises RefusedAddress unless an endpoint may lead to this address.

    What no server is at (multicast, unspecified, reserved) and link-local addresses, where clouds keep their
    metadata, are never allowed; private and loopback ones where `allow_private` is.
    """
    address = ipaddress.ip_address(text)
    for one in (address, *_inside(address)):
        if _is_never(one):
            raise RefusedAddress(f"Webhooks are not sent to {address}.")
        if not allow_private and not _is_public(one):
            raise RefusedAddress(
                f"{address} is inside a private network. Staff can allow private addresses for this endpoint."
            )


def _is_never(address: Address) -> bool:
    is_odd = address.is_multicast or address.is_unspecified or address.is_link_local
    if isinstance(address, IPv4Address):
        return is_odd or address.is_reserved or address in THIS_NETWORK
    return is_odd


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address.is_site_local or address in TRANSLATED_LOCALLY):
        return False
    return address.is_global


def _inside(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an IPv6 one carries."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in TRANSLATED or (address in COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
