"""The cookies of browsers: how requests carry them, and how responses set them (RFC 6265).

Under https the session's cookie has the prefix ``__Host-``, which browsers accept from this very
host over https only; over plain http, on a closed network, it has none.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.types import Scope

from hubstead.http import get_header

_SESSION = "session"


def cookies_of(scope: Scope) -> dict[str, str]:
    """Return the cookies of a request; none if the header is malformed."""
    try:
        jar = SimpleCookie(get_header(scope, "cookie") or "")
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def session_secret(scope: Scope, public_url: str) -> str:
    """Return the secret id of the session that a request carries, or an empty string."""
    return cookies_of(scope).get(_session_name(public_url), "")


def session_cookie(secret: str, public_url: str, *, lasts_s: float | None) -> str:
    """Return the ``Set-Cookie`` of a session.

    Args:
        secret: The secret id of the session; empty to remove the cookie.
        public_url: Where the hub's links begin: https asks for a stricter cookie.
        lasts_s: How long the browser keeps it; None until the browser is closed.
    """
    name = _session_name(public_url)
    return set_cookie(name, secret, public_url, lasts_s=lasts_s if secret else 0)


def set_cookie(name: str, value: str, public_url: str, *, lasts_s: float | None) -> str:
    """Return a ``Set-Cookie`` that no script reads and no foreign page's request carries along."""
    secure = "; Secure" if _is_https(public_url) else ""
    age = "" if lasts_s is None else f"; Max-Age={int(lasts_s)}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"


def _session_name(public_url: str) -> str:
    return f"__Host-{_SESSION}" if _is_https(public_url) else _SESSION


def _is_https(public_url: str) -> bool:
    return public_url.startswith("https:")
