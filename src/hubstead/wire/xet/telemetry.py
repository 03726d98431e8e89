"""What clients tell of themselves. Nobody here wants to know."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.http import Response
from hubstead.wire import Request


async def telemetry(_request: Request) -> ASGIApp:
    """Drop what a client measured; that there was a call is counted in ``/metrics``.

    The client waits for the answer at the end of a transfer, so it goes out before the body is
    read, which the server then skips.
    """
    return Response(b"{}", media_type="application/json")
