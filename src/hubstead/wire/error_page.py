"""Error responses as pages for browsers, as JSON for other clients.

The pages themselves are drawn above this room: whoever builds the application passes the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from hubstead.http import Response, get_header


@dataclass(frozen=True)
class FailedRequest:
    """What the page of an error shows beside the error."""

    scope: Scope
    path: str  # undecoded, below ``public_url``
    caller: str  # the name of the signed-in user, or an empty string
    public_url: str  # where the hub's links begin; empty if no setting says it
    request_id: str


class ErrorPage(Response):
    """A JSON error response that becomes a page for clients that accept ``text/html``."""

    def __init__(self, response: Response, draw: Callable[[], Response]) -> None:
        super().__init__(response.body, status=response.status, headers=response.headers)
        self._draw = draw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page, or the JSON without ``text/html`` in Accept."""
        if "text/html" not in (get_header(scope, "accept") or ""):
            await super().__call__(scope, receive, send)
            return
        page = self._draw()
        page.headers = self.headers | page.headers
        await page(scope, receive, send)
