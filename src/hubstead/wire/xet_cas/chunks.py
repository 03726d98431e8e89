"""Global deduplication: where a chunk is stored already, for those who may know."""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog
from starlette.types import ASGIApp

from hubstead.errors import HubError, NotFound
from hubstead.repos import Pass, Right
from hubstead.wire.http import Answer, Call
from hubstead.wire.xet_cas.admission import NOTHING_HERE, admitted
from hubstead.wire.xet_cas.readable import readable
from hubstead.xet import Known, to_raw, write_answer

#: For this upload and hardly longer: what clients keep on disk, rights cannot take away.
GOOD_FOR_S = 900

_log = structlog.get_logger("hubstead.xet")


async def ask_for_chunk(call: Call) -> ASGIApp:
    """Tell of the xorb that holds a chunk: as much of it as the caller may know."""
    shown = await admitted(call, Right.CONTENT)
    raw = to_raw(call.text("hash"))
    try:
        answer = await _answer(call, shown, raw)
    except HubError as error:
        # Clients try again after 5xx, again and again, and their upload stands still.
        _log.warning("a chunk is not told of", error=error.message)
        answer = None
    if answer is None:
        raise NotFound(reason=NOTHING_HERE)
    return Answer(answer, media_type="application/octet-stream")


async def _answer(call: Call, shown: Pass, raw: bytes) -> bytes | None:
    xet = call.hub.stores.xet
    for xorb, position in await xet.holding(raw):
        ranges = await readable(call, shown, xorb)
        if not any(start <= position < end for start, end in ranges):
            continue
        index = await xet.index(xorb)
        # From here on the client counts on it.
        if await xet.touch([xorb]):
            known = Known(to_raw(xorb.name), index, ranges, first=(position,))
            return await asyncio.to_thread(_written, known)
    return None


def _written(known: Known) -> bytes:
    now = int(time.time())
    return write_answer([known], key=secrets.token_bytes(32), now=now, expiry=now + GOOD_FOR_S)
