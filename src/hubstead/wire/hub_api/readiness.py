"""``GET /readyz``: whether requests should come to this node, and the state of its parts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import StorageFull, StorageReadOnly, Unavailable
from hubstead.http import Response, json_response
from hubstead.wire import Hub, Request, one_line

#: Seconds that each part may take: balancers ask every few seconds.
PART_S = 5.0
_OK = "ok"
_READ_ONLY = "writes are refused: the disk is read-only"


async def check_readiness(request: Request) -> Response:
    """Report the parts of this node: ``ready`` or ``degraded`` with 200, ``unavailable`` with 503.

    A full or read-only disk is degraded: reads go on, which a balancer would end by taking the node
    out. A wrong clock is 503 while another node's is right, and else degraded as well.
    """
    hub = request.hub
    if hub.unavailable:
        raise Unavailable(reason=hub.unavailable)
    parts = {"database": hub.db.ready, "store": hub.blobs.ready, "clock": hub.clock.ready}
    answers = await asyncio.gather(*map(_ask, parts.values()))
    report = dict(zip(parts, answers, strict=True))
    degraded = (_OK, "", _READ_ONLY)
    unavailable = [f"{part}: {text}" for part, text in report.items() if text not in degraded]
    report["disk"] = await _disk(hub, has_room=all(answers))
    report = {part: text or _OK for part, text in report.items()}
    if unavailable:
        error = Unavailable(reason="; ".join(unavailable)).message
        body = {"error": error, "status": "unavailable", **report}
        return json_response(
            body, status=503, headers={"retry-after": "1", "x-error-message": one_line(error)}
        )
    if not hub.clock.agrees:
        report["clock"] = hub.clock.complaint
    is_ready = all(text == _OK for text in report.values())
    return json_response({"status": "ready" if is_ready else "degraded", **report})


async def _ask(ready: Callable[[], Awaitable[None]]) -> str:
    """Return ``ok``, an empty string if the part answers but has no room, or why it fails."""
    try:
        async with asyncio.timeout(PART_S):
            await ready()
    except StorageFull:
        return ""
    except StorageReadOnly:
        return _READ_ONLY
    except TimeoutError:
        return f"no answer in {PART_S:g} s"
    except Unavailable as error:
        return error.reason
    return _OK


async def _disk(hub: Hub, *, has_room: bool) -> str:
    try:
        free = (await run_in_lane(Lane.BACKGROUND, shutil.disk_usage, hub.settings.data)).free
    except OSError as error:
        return f"the data folder cannot be read: {error.strerror}"
    least = hub.settings.blobs.min_free_bytes
    if has_room and free >= least:
        return _OK
    return f"writes are refused: {free:,} bytes free, min_free_bytes is {least:,}"
