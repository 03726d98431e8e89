"""Files that pages need: they are part of the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from hubstead.errors import NotFound
from hubstead.wire.http import Answer, Call, text_answer

MEDIA_TYPES = {"hubstead.css": "text/css; charset=utf-8", "favicon.svg": "image/svg+xml"}
_HEADERS = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}
#: What costs the server work and tells a search engine nothing.
_ROBOTS = "".join(
    f"Disallow: {path}\n"
    for path in ("/api/", "/*/resolve/", "/*/raw/", "/*/blob/", "/*/tree/", "/*/commit")
)


@cache
def _read(name: str) -> bytes:
    return (files("hubstead.pages") / "static" / name).read_bytes()


async def static(call: Call) -> Answer:
    """Answer with a style sheet or picture."""
    return _file(call.text("file"))


async def favicon(_call: Call) -> Answer:
    """Answer with the sign of the hub."""
    return _file("favicon.svg")


def _file(name: str) -> Answer:
    if name not in MEDIA_TYPES:
        raise NotFound(reason=f"There is no file {name}")
    return Answer(_read(name), media_type=MEDIA_TYPES[name], headers=_HEADERS)


async def robots(_call: Call) -> Answer:
    """Tell search engines what to leave alone."""
    return text_answer(f"User-agent: *\n{_ROBOTS}")
