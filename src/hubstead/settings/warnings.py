"""Settings that are valid but hardly meant, in one line each."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from hubstead.settings.groups import ServerSettings
from hubstead.settings.model import Settings


def list_warnings(settings: Settings) -> list[str]:
    """Return what an operator should change; the hub starts all the same."""
    server = settings.server
    warnings = []
    if server.trusted_proxies and not server.public_url:
        warnings.append(
            "trusted_proxies is set, but public_url is not: links begin with the hub's own "
            "address, which clients of the proxy may not reach"
        )
    if not server.trusted_proxies and _is_behind_proxy(server):
        warnings.append(
            f"public_url is {server.public_url}, which needs a proxy in front, but trusted_proxies "
            "is not set: all clients share the proxy's address in logs and limits"
        )
    return warnings


def _is_behind_proxy(server: ServerSettings) -> bool:
    """Tell whether only a proxy can answer at ``public_url``.

    The hub has no TLS, and other machines do not reach a loopback address.
    """
    public = urlsplit(server.public_url)
    if public.scheme == "https":
        return True
    return bool(public.hostname) and _is_loopback(server.host) and not _is_loopback(public.hostname)


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost" or (host or "").endswith(".localhost")
