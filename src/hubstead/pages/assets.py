"""Static files of the pages, which the package contains."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from hubstead.errors import NotFound
from hubstead.http import Response, text_response
from hubstead.wire import Request

MEDIA_TYPES = {"hubstead.css": "text/css; charset=utf-8", "favicon.svg": "image/svg+xml"}
_HEADERS = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}
#: Paths that cost the server work and give a search engine nothing to index.
_ROBOTS = "".join(
    f"Disallow: {path}\n"
    for path in ("/api/", "/*/resolve/", "/*/raw/", "/*/blob/", "/*/tree/", "/*/commit")
)


@cache
def _read(name: str) -> bytes:
    return (files("hubstead.pages") / "static" / name).read_bytes()


async def static(request: Request) -> Response:
    """Return a style sheet or picture."""
    return _file(request.text("file"))


async def favicon(_request: Request) -> Response:
    """Return the icon of the hub."""
    return _file("favicon.svg")


def _file(name: str) -> Response:
    if name not in MEDIA_TYPES:
        raise NotFound(reason=f"There is no file {name}")
    return Response(_read(name), media_type=MEDIA_TYPES[name], headers=_HEADERS)


async def robots(_request: Request) -> Response:
    """Return the paths that search engines must not index."""
    return text_response(f"User-agent: *\n{_ROBOTS}")
