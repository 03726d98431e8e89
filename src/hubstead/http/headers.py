"""Reading the headers of an ASGI scope."""

from __future__ import annotations

from starlette.types import Scope


def get_header(scope: Scope, name: str) -> str | None:
    """Return the value of the header ``name`` (lower case), repeated lines joined by commas."""
    wanted = name.encode("ascii")
    found = [value for key, value in scope["headers"] if key == wanted]
    return b", ".join(found).decode("latin-1") if found else None


def content_length(scope: Scope) -> int | None:
    """Return the length that the request announced for its body; ``None`` if it is chunked."""
    if get_header(scope, "transfer-encoding") is not None:
        return None
    text = get_header(scope, "content-length")
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)
