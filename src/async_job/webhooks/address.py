"""Which addresses a webhook may go to: those of the public internet, and no others.

Whoever names a URL could otherwise have this machine speak to services that trust their own network.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from async_job.errors import AddressRefused

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host name and a port to addresses."""

REFUSED_IPV4: Final = {
    IPv4Network(network): kind
    for network, kind in (
        ("0.0.0.0/8", "of this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "behind a carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "of a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
}
GLOBAL_IPV6: Final = IPv6Network("2000::/3")
NAT64: Final = IPv6Network("64:ff9b::/96")
REFUSED_IPV6: Final = {
    IPv6Network(network): kind
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "mapped from IPv4"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "of 6to4"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "of segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
}


def refusal(address: str) -> str | None:
    """What speaks against it, as in ``loopback``; ``None``: nothing."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return next((kind for network, kind in REFUSED_IPV4.items() if ip in network), None)
    if ip in NAT64:
        # A network without IPv4 reaches the IPv4 internet by these, and could reach its own insides, too.
        return refusal(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
    return _refusal_of_ipv6(ip)


def _refusal_of_ipv6(ip: IPv6Address) -> str | None:
    kind = next((kind for network, kind in REFUSED_IPV6.items() if ip in network), None)
    return kind or (None if ip in GLOBAL_IPV6 else "reserved")


async def resolve(host: str, port: int) -> list[str]:
    """As the system does it. Raises ``OSError`` when the name is not known."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def checked_addresses(host: str, port: int, resolve: Resolve, allow_private: bool) -> list[str]:
    """All addresses of the host, in the resolver's order.

    Raises:
        AddressRefused: one of them is none of the public internet.
        OSError: the name is not known.
    """
    addresses = await resolve(host, port)
    for address in addresses:
        kind = None if allow_private else refusal(address)
        if kind is not None:
            raise AddressRefused(f"{host} has the address {address}, which is {kind}; webhooks go to public ones only")
    return addresses
