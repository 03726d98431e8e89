"""Reads the headers of an ASGI scope."""

from __future__ import annotations

from starlette.types import Scope


def get_header(scope: Scope, name: str) -> str | None:
    """Return the value of the header ``name`` (lower case), repeated lines joined by commas."""
    wanted = name.encode("ascii")
    values = [value for key, value in scope["headers"] if key == wanted]
    return b", ".join(values).decode("latin-1") if values else None


def content_length(scope: Scope) -> int | None:
    """Return the request's Content-Length; ``None`` if it is chunked or invalid."""
    if get_header(scope, "transfer-encoding") is not None:
        return None
    text = get_header(scope, "content-length")
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)
