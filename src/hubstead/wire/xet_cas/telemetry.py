"""What clients tell of themselves. Nobody here wants to know."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.wire.http import Answer, Call


async def telemetry(_call: Call) -> ASGIApp:
    """Drop what a client measured; that there was a call is counted in ``/metrics``.

    The client waits for the answer at the end of a transfer, so it goes out before the body is
    read, which the server then skips.
    """
    return Answer(b"{}", media_type="application/json")
