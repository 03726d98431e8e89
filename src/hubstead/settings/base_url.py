"""The address that every absolute link begins with (``public_url``), in one spelling."""

from __future__ import annotations

import ipaddress
import re

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^]/]+\]|[^][/:]+)(:(?P<port>[0-9]{0,5}))?(?P<path>/.*)?",
    re.IGNORECASE,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")
#: Neither a URL, HTML nor a shell changes these characters or gives them a meaning.
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")


def parse_base_url(text: str) -> str:
    """Return an address with its host in lower case, and no default port or slash at its end.

    Clients compare addresses letter by letter, so one address needs one spelling. A path stays: a
    proxy may serve the hub below one. Empty text stays empty.

    Raises:
        ValueError: with the reason, which never repeats a password.
    """
    text = text.strip()
    if not text:
        return ""
    if "@" in text:
        raise ValueError("every link begins with it, so it must have no user and no password")
    if "?" in text or "#" in text:
        raise ValueError(f"every link begins with it, so {text!r} must end before its query")
    match = _ADDRESS.fullmatch(text)
    host = _host(match["host"]) if match else ""
    port = int(match["port"] or 0) if match else 0
    if match is None or not host or port > 65535:
        raise ValueError(f"{text!r} is not an address like https://hub.example.com")
    scheme = match["scheme"].lower()
    shown = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    return f"{scheme}://{host}{shown}{_path(match['path'] or '')}"


def _host(text: str) -> str:
    """Return the host in its canonical form, or nothing where it is not a host."""
    try:
        if text.startswith("["):
            return f"[{ipaddress.IPv6Address(text[1:-1])}]"
        host = text.removesuffix(".").encode("idna").decode().lower()
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""


def _path(text: str) -> str:
    path = text.rstrip("/")
    for segment in path.split("/")[1:]:
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise ValueError(f"its path {path!r} must consist of names of a-z A-Z 0-9 . _ ~ -")
    return path
