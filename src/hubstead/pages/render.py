"""Renders templates to HTML responses."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from hubstead.http import Response
from hubstead.wire import Request

#: Pages run no script, submit no form and load only the hub's style sheet and pictures.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    # The content depends on the caller.
    "cache-control": "private, no-cache",
    "vary": "Authorization",
}


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
    environment.filters.update(day=day, moment=moment)
    return environment


def page(request: Request, template: str, /, **facts: Any) -> Response:
    """Render a template to an HTML response.

    Templates get ``facts`` and ``root``, the path prefix of the hub's own links;
    ``public_url``; and ``caller``, the name of the signed-in user, or an empty string.
    """
    root = urlsplit(request.public_url).path.rstrip("/")
    text = (
        _environment()
        .get_template(template)
        .render(root=root, public_url=request.public_url, caller=request.actor.name, **facts)
    )
    # Names in git need not be UTF-8: invalid bytes become replacement characters.
    body = text.encode("utf-8", "replace")
    return Response(body, media_type="text/html; charset=utf-8", headers=HEADERS)


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


def day(ms: int) -> str:
    """Return the day of a stored time (milliseconds since the epoch), in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def moment(seconds: int) -> str:
    """Return the time of a commit (seconds since the epoch) to the minute, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "at an impossible time"  # git stores any number that a client wrote
