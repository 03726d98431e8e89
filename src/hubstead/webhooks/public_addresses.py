"""Tells public IP addresses from loopback, private and other special ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Tell whether an IP address, and all addresses embedded in it, are public."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return all(
        candidate.is_global and not candidate.is_multicast
        for candidate in _embedded_addresses(parsed)
    )


def _embedded_addresses(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address.ipv4_mapped:
        yield address.ipv4_mapped
    else:
        yield address
        if address.sixtofour:
            yield address.sixtofour
        if address.teredo:
            yield from address.teredo
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
