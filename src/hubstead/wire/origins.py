"""Which host names and web pages the hub serves, and which requests come from foreign pages.

A browser sends cookies and remembered Basic credentials with requests that any page makes, so
such a request proves nothing about its sender's will. Bearer tokens are added by programs only.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from hubstead.errors import HubError
from hubstead.http import get_header
from hubstead.settings import ServerSettings

#: Methods that change nothing.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ANY = "*"


class Address(NamedTuple):
    """Where a URL leads: its origin, if it has one."""

    scheme: str
    host: str  # lower case
    port: int | None


class ForeignPage(HubError):
    """A web page of another site sent this request: open the hub itself, or send a Bearer token."""


class WrongHost(HubError):
    """This hub does not answer by this name (hosts)"""


class Origins:
    """The rules of one hub, from its settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._public = parse_address(settings.public_url)
        self._hosts = frozenset(name.lower() for name in settings.hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.cors_origins)

    def serves_host(self, scope: Scope) -> bool:
        """Tell whether the request names a host that the hub serves.

        Requests of HTTP/1.0 may name none.
        """
        header = get_header(scope, "host")
        if not self._hosts or header is None:
            return True
        name = parse_address(f"//{header}").host
        return bool(name) and (name in self._hosts or name == self._public.host)

    def may_read(self, origin: str) -> bool:
        """Tell whether scripts of pages of ``origin`` may read responses."""
        return _ANY in self._origins or origin.lower() in self._origins

    def is_forged(self, scope: Scope, *, signs_in: bool) -> bool:
        """Tell whether a foreign page may have caused this request in somebody else's name.

        Args:
            scope: The request.
            signs_in: The route signs its caller in, whatever the credentials.
        """
        if scope["method"] in _SAFE or not (signs_in or _sent_by_browsers(scope)):
            return False
        site = get_header(scope, "sec-fetch-site")
        if site in ("same-origin", "none"):
            return False
        return site == "cross-site" or self._is_foreign(scope)

    def is_own(self, scope: Scope) -> bool:
        """Tell whether a request changes nothing, or a page of this hub has certainly sent it."""
        if scope["method"] in _SAFE:
            return True
        site = get_header(scope, "sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        return get_header(scope, "origin") is not None and not self._is_foreign(scope)

    def _is_foreign(self, scope: Scope) -> bool:
        origin = get_header(scope, "origin")
        if origin is None:
            return False
        page = parse_address(origin)
        own = parse_address(f"{page.scheme}://{get_header(scope, 'host') or ''}")
        return not page.host or page not in (own, self._public)


def _sent_by_browsers(scope: Scope) -> bool:
    """Tell whether the credentials are of a type that browsers add to requests of any page."""
    scheme = (get_header(scope, "authorization") or "").strip().partition(" ")[0]
    if scheme:
        return scheme.lower() == "basic"
    return get_header(scope, "cookie") is not None


def parse_address(url: str) -> Address:
    """Return scheme, host and port of an absolute URL; the host is empty where it is malformed."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return Address("", "", None)
    return Address(parts.scheme, (parts.hostname or "").rstrip("."), port)
