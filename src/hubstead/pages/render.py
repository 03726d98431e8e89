"""Renders templates to HTML responses, in the frame that all pages share."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit
from zlib import crc32

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.types import Receive, Scope, Send

from hubstead import __version__
from hubstead.gitstore import DiffLine
from hubstead.http import Response, get_header
from hubstead.ids import now_ms
from hubstead.pages.assets import accepts_gzip, asset_url
from hubstead.pages.icons import icon_use, with_sprite
from hubstead.wire import Request, cookies_of

#: Pages run no script, submit forms to the hub only, and load only what it serves.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    # The content depends on the caller.
    "cache-control": "private, no-cache",
    "vary": "Accept, Accept-Encoding, Authorization, Cookie",
}
THEMES = ("light", "dark")
THEME_COOKIE = "theme"
#: Shorter pages are sent as they are: compression would save less than a packet.
_GZIP_FROM = 1024
_GZIP_LEVEL = 5
_AVATAR_HUES = 6


class Page(Response):
    """An HTML response, compressed for clients that accept it.

    Args:
        body: The page.
        status: Its status.
        headers: More headers than those of every page.
        holds_secret: The page shows a secret, whose length compression would tell to somebody who
            reads the network and chooses another part of the page.
    """

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        holds_secret: bool = False,
    ) -> None:
        super().__init__(
            body,
            status=status,
            media_type="text/html; charset=utf-8",
            headers={**HEADERS, **(headers or {})},
        )
        self._may_compress = not holds_secret and len(body) >= _GZIP_FROM

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if self._may_compress and accepts_gzip(get_header(scope, "accept-encoding")):
            self.body = gzip.compress(self.body, _GZIP_LEVEL, mtime=0)
            self.headers["content-encoding"] = "gzip"
        await super().__call__(scope, receive, send)


def compile_templates() -> None:
    """Compile every template, so that the first visitor does not wait for it.

    Raises:
        TemplateSyntaxError: a template is invalid.
    """
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hubstead.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(path=path_in_url, segment=segment_in_url, bytes=bytes_for_people)
    environment.filters.update(day=day, moment=moment, ago=ago, exact_time=exact_time, hue=hue)
    environment.filters.update(iso_time=iso_time, grouped=grouped, count=count_for_people)
    environment.filters.update(marked=marked)
    environment.globals.update(icon=_icon, asset=asset_url, version=__version__)
    return environment


def _icon(name: str, classes: str = "") -> Markup:
    return Markup(icon_use(name, classes))  # noqa: S704 - shapes and classes of our own


def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    holds_secret: bool = False,
    **facts: Any,
) -> Response:
    """Render a template to an HTML response.

    Templates get ``facts`` and ``root``, the path prefix of the hub's own links;
    ``public_url``; ``theme``, which the visitor chose, or an empty string; and ``caller``, the
    name of the signed-in user, or an empty string.
    """
    facts |= {"public_url": request.public_url, "caller": request.actor.name}
    body = render(template, theme=theme_of(request.scope), **facts)
    more = transport_headers(request.public_url) | dict(headers or {})
    return Page(body, status=status, headers=more, holds_secret=holds_secret)


def render(template: str, /, *, public_url: str, **facts: Any) -> bytes:
    """Render a template to a page, with the shapes of the icons that it uses."""
    address = urlsplit(public_url)
    facts |= {"root": address.path.rstrip("/"), "host": address.netloc, "public_url": public_url}
    text = with_sprite(_environment().get_template(template).render(facts))
    # Names in git need not be UTF-8: invalid bytes become replacement characters.
    return text.encode("utf-8", "replace")


def transport_headers(public_url: str) -> dict[str, str]:
    """Return the headers of pages of a hub that is served over https only."""
    if not public_url.startswith("https:"):
        return {}
    return {
        "content-security-policy": f"{POLICY}; upgrade-insecure-requests",
        "strict-transport-security": "max-age=31536000",
    }


def theme_of(scope: Scope) -> str:
    """Return the theme that the visitor chose, or an empty string for the system's."""
    theme = cookies_of(scope).get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def path_in_url(path: str) -> str:
    """Percent-encode ``path`` for a URL, except its slashes."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/")


def segment_in_url(text: str) -> str:
    """Percent-encode ``text`` as one URL segment, slashes included (revisions may have some)."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def bytes_for_people(count: int) -> str:
    """Return a size for people: ``999 B``, ``1.2 kB``, ``3.4 GB``."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def grouped(count: int) -> str:
    """Return a number in groups of three digits: ``1,279``."""
    return f"{count:,}"


def count_for_people(count: int) -> str:
    """Return a large number for people: ``950``, ``21.4 K``, ``1.2 B``."""
    size = float(count)
    for unit in ("", " K", " M", " B", " T"):
        if size < 999.95 or unit == " T":
            return f"{count}" if not unit else f"{size:.1f}{unit}"
        size /= 1000
    raise AssertionError


def marked(line: DiffLine) -> Markup:
    """Return a line of a difference as HTML, with the words that differ marked."""
    pieces, at = [], 0
    for start, end in line.marks:
        pieces += [escape(line.text[at:start]), Markup("<mark>"), escape(line.text[start:end])]
        pieces.append(Markup("</mark>"))
        at = end
    return Markup("").join([*pieces, escape(line.text[at:])])


def hue(name: str) -> int:
    """Return the number of the colour that stands for a name, from 0 (``.hue-0`` in the sheet)."""
    return crc32(name.casefold().encode("utf-8", "replace")) % _AVATAR_HUES


def day(ms: int) -> str:
    """Return the day of a stored time (milliseconds since the epoch), in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def moment(seconds: int) -> str:
    """Return the time of a commit (seconds since the epoch) to the minute, in UTC."""
    return exact_time(seconds * 1000, "%Y-%m-%d %H:%M")


def exact_time(ms: int, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """Return a time (milliseconds since the epoch) in UTC."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "at an impossible time"  # git stores any number that a client wrote


def iso_time(ms: int) -> str:
    """Return a time (milliseconds since the epoch) as ``datetime`` attributes have it."""
    return exact_time(ms, "%Y-%m-%dT%H:%M:%SZ")


def ago(ms: int, now: int | None = None) -> str:
    """Return how long ago a time (milliseconds since the epoch) was: ``3 days ago``."""
    seconds = ((now_ms() if now is None else now) - ms) // 1000
    if not -60 < seconds < 100 * 365 * 86_400:
        return exact_time(ms, "%Y-%m-%d")  # ahead of this clock, or of a commit without a true time
    for unit, length in (
        ("year", 365 * 86_400),
        ("month", 30 * 86_400),
        ("day", 86_400),
        ("hour", 3600),
        ("minute", 60),
    ):
        count = seconds // length
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
