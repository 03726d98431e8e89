"""Which IP addresses are of the open internet.

The list is the hub's own, after IANA's registries of special addresses (2026): the interpreter's
differs between its releases, and counts some networks as global that reach this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by customers of a carrier
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
#: Only these IPv6 addresses are assigned to the open internet.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments; Teredo is read apart
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
            "2620:4f:8000::/48",  # AS112
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_TEREDO = IPv6Network("2001::/32")
_COMPATIBLE = IPv6Network("::/96")  # an IPv4 address in the form of the first standard


def is_public(address: str) -> bool:
    """Tell whether an IP address, and every IPv4 address in it, is of the open internet."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    embedded = list(_embedded(parsed))
    if parsed in _LOCAL_NAT64 or not all(map(_is_public_v4, embedded)):
        return False
    if parsed.ipv4_mapped or parsed in _NAT64:
        return True
    return parsed in _GLOBAL_V6 and not any(parsed in network for network in _SPECIAL_V6)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_V4)


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses to which packets for ``address`` may go."""
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    elif address in _NAT64 or address in _COMPATIBLE:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    elif address.sixtofour:
        yield address.sixtofour
    elif address in _TEREDO and address.teredo:
        yield from address.teredo
