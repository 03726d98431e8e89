"""Static files of the pages, which the package contains.

Their addresses hold a digest of their content: browsers may keep them for ever, and a new release
has new addresses.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.types import Receive, Scope, Send

from hubstead.errors import NotFound
from hubstead.http import Response, get_header, text_response
from hubstead.wire import Request

MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_TEXTS = frozenset(("css", "svg", "txt"))
_HEADERS = {"x-content-type-options": "nosniff", "vary": "Accept-Encoding"}
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_AN_HOUR = "public, max-age=3600"
_REFERENCE = re.compile(rb'url\("([a-z0-9.-]+)"\)')
#: Paths that cost the server work and give a search engine nothing to index.
_ROBOTS = "".join(
    f"Disallow: {path}\n"
    for path in ("/api/", "/*/resolve/", "/*/raw/", "/*/blob/", "/*/tree/", "/*/commit")
)


@dataclass(frozen=True)
class Asset:
    """A static file in memory."""

    name: str  # with the digest
    data: bytes
    packed: bytes | None  # by gzip; None for what is compressed already
    media_type: str


@cache
def _asset(name: str) -> Asset:
    stem, _, suffix = name.rpartition(".")
    data = (files("hubstead.pages") / "static" / name).read_bytes()
    if suffix == "css":
        data = _without_blanks(data)
        # relative, so that a prefix of the public URL changes nothing
        data = _REFERENCE.sub(
            lambda match: f'url("{_asset(match[1].decode()).name}")'.encode(), data
        )
    digest = hashlib.sha256(data).hexdigest()[:8]
    packed = gzip.compress(data, 9, mtime=0) if suffix in _TEXTS else None
    return Asset(f"{stem}.{digest}.{suffix}", data, packed, MEDIA_TYPES[suffix])


def _without_blanks(sheet: bytes) -> bytes:
    """Return a style sheet without its comments and the blanks that mean nothing."""
    sheet = re.sub(rb"/\*.*?\*/", b"", sheet, flags=re.DOTALL)
    sheet = re.sub(rb"\s*([{};,])\s*", rb"\1", sheet)
    return sheet.replace(b";}", b"}").strip() + b"\n"


@cache
def _names() -> dict[str, str]:
    """Return the file behind each name, with and without the digest."""
    folder = files("hubstead.pages") / "static"
    own = [file.name for file in folder.iterdir() if file.name.rpartition(".")[2] in MEDIA_TYPES]
    return {name: name for name in own} | {_asset(name).name: name for name in own}


def asset_url(root: str, name: str) -> str:
    """Return the address of a static file below ``root``, the path prefix of the hub's links."""
    return f"{root}/static/{_asset(name).name}"


class AssetResponse(Response):
    """A static file, compressed for clients that accept it."""

    def __init__(self, asset: Asset, cache_control: str) -> None:
        headers = {**_HEADERS, "cache-control": cache_control}
        super().__init__(asset.data, media_type=asset.media_type, headers=headers)
        self._packed = asset.packed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if self._packed is not None and accepts_gzip(get_header(scope, "accept-encoding")):
            self.body = self._packed
            self.headers["content-encoding"] = "gzip"
        await super().__call__(scope, receive, send)


def accepts_gzip(header: str | None) -> bool:
    """Tell whether an ``Accept-Encoding`` allows gzip (RFC 9110 12.5.3)."""
    for item in (header or "").split(","):
        name, _, weight = item.replace(" ", "").partition(";q=")
        if name.lower() == "gzip":
            return not re.fullmatch(r"0(\.0*)?", weight)
    return False


async def static(request: Request) -> Response:
    """Return a style sheet, a font or a picture."""
    return _file(request.text("file"))


async def favicon(_request: Request) -> Response:
    """Return the icon of the hub."""
    return _file("favicon.svg")


def _file(name: str) -> Response:
    own = _names().get(name)
    if own is None:
        raise NotFound(reason=f"There is no file {name}")
    return AssetResponse(_asset(own), _FOR_AN_HOUR if own == name else _FOR_EVER)


async def robots(_request: Request) -> Response:
    """Return the paths that search engines must not index."""
    return text_response(f"User-agent: *\n{_ROBOTS}")
