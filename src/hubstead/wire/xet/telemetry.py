"""Accepts and discards clients' telemetry."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.http import Response
from hubstead.wire import Request


async def telemetry(_request: Request) -> ASGIApp:
    """Discard a client's measurements; ``/metrics`` counts the request.

    The client waits for this response at the end of a transfer, so it precedes the body, which the
    server skips.
    """
    return Response(b"{}", media_type="application/json")
