"""Error responses as small HTML pages for browsers, as JSON for other clients."""

from __future__ import annotations

import html
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from hubstead.http import Response, get_header

_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "vary": "Accept, Authorization",
}


class ErrorPage(Response):
    """A JSON error response that becomes a page for clients that accept ``text/html``."""

    def __init__(self, response: Response, message: str, request_id: str) -> None:
        super().__init__(response.body, status=response.status, headers=response.headers)
        self._message = message
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page, or the JSON without ``text/html`` in Accept."""
        if "text/html" in (get_header(scope, "accept") or ""):
            self.body = self._page().encode("utf-8", "replace")
            self.headers |= _HEADERS
        await super().__call__(scope, receive, send)

    def _page(self) -> str:
        title = f"{self.status} {HTTPStatus(self.status).phrase}"
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)} · Hubstead</title></head>\n"
            f"<body><h1>{html.escape(title)}</h1>\n<p>{html.escape(self._message)}</p>\n"
            f"<p><small>Request {html.escape(self._request_id)}</small></p></body></html>\n"
        )
