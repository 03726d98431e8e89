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
from hubstead.wire.xet_cas.admission import NOTHING_HERE, admitted, session_of
from hubstead.wire.xet_cas.readable import Ranges, readable
from hubstead.xet import Known, KnownXorb, following, to_raw, write_answer

#: For this upload and hardly longer: what clients keep on disk, rights cannot take away.
GOOD_FOR_S = 900

_log = structlog.get_logger("hubstead.xet")


async def ask_for_chunk(call: Call) -> ASGIApp:
    """Tell of the xorb that holds a chunk: as much of it as the caller may know."""
    shown = await admitted(call, Right.CONTENT)
    raw = to_raw(call.text("hash"))
    if shown.write:
        call.hub.stores.xet.ahead.asked(session_of(call), raw)
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
        if await xet.is_damaged(xorb):
            continue
        told = [(xorb, ranges), *await _following(call, shown, xorb, position)]
        indexes = [await xet.index(each) for each, _ in told]
        # From here on the client counts on them.
        if await xet.touch(each for each, _ in told):
            known = [
                Known(to_raw(each.name), index, readable, first=(position,) * (each is xorb))
                for (each, readable), index in zip(told, indexes, strict=True)
            ]
            return await asyncio.to_thread(_written, known)
    return None


async def _following(
    call: Call, shown: Pass, xorb: KnownXorb, position: int
) -> list[tuple[KnownXorb, Ranges]]:
    """Return what comes next in a file, so that a client need not ask again and again.

    It asks about one chunk in a thousand, and sends what it has not been told of.
    """
    after = await following(call.hub.db, xorb, position)
    found = [(each, await readable(call, shown, each)) for each in after]
    told = [(each, ranges) for each, ranges in found if ranges]
    return [each for each in told if not await call.hub.stores.xet.is_damaged(each[0])]


def _written(known: list[Known]) -> bytes:
    now = int(time.time())
    return write_answer(known, key=secrets.token_bytes(32), now=now, expiry=now + GOOD_FOR_S)
