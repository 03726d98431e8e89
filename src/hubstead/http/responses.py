"""Responses that are not files: JSON, text, redirects, empty ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

_encoder = msgspec.json.Encoder(decimal_format="number")


class ResponseBroken(Exception):
    """A response has begun and cannot be completed: the server closes the connection."""


class Response:
    """A response in memory. HEAD omits its body, and for errors its content type."""

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        media_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})
        if media_type is not None:
            self.headers["content-type"] = media_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        bare = scope["method"] == "HEAD"
        lines = [(k.lower().encode(), v.encode("latin-1")) for k, v in self.headers.items()]
        if bare and self.status >= 400:
            # @huggingface/hub parses whatever is called JSON, and trips over the missing body
            # (createApiError); without a type it tells the status.
            lines = [line for line in lines if line[0] != b"content-type"]
        if self.status not in (204, 304):
            lines.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": lines})
        body = b"" if bare else self.body
        await send({"type": "http.response.body", "body": body})


def json_response(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a struct, or what else msgspec writes, as JSON."""
    body = _encoder.encode(content)
    return Response(
        body, status=status, media_type="application/json; charset=utf-8", headers=headers
    )


def text_response(
    text: str, *, status: int = 200, media_type: str = "text/plain; charset=utf-8"
) -> Response:
    """Answer with a text."""
    return Response(text.encode("utf-8", "replace"), status=status, media_type=media_type)


def redirect(
    location: str, *, status: int = 307, headers: Mapping[str, str] | None = None
) -> Response:
    """Send the client elsewhere; 307 keeps method and body."""
    text = f"Temporary Redirect. Redirecting to {location}"
    return Response(
        text.encode(),
        status=status,
        media_type="text/plain; charset=utf-8",
        headers={**(headers or {}), "location": location},
    )
