"""Global deduplication: where a chunk is stored already, for those who may know."""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog
from starlette.types import ASGIApp

from hubstead.errors import HubError, NotFound
from hubstead.http import Response
from hubstead.repos import Right, XetToken
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize, session_of
from hubstead.wire.xet.visibility import Ranges, visible_chunks
from hubstead.xet import KnownChunks, KnownXorb, following_xorbs, to_raw, write_dedup_shard

#: For this upload and hardly longer: what clients keep on disk, rights cannot take away.
GOOD_FOR_S = 900

_log = structlog.get_logger("hubstead.xet")


async def find_chunk(request: Request) -> ASGIApp:
    """Tell of the xorb that holds a chunk: as much of it as the caller may know."""
    shown = await authorize(request, Right.READ)
    raw = to_raw(request.text("hash"))
    if shown.write:
        request.hub.stores.xet.ahead.asked(session_of(request), raw)
    try:
        answer = await _answer(request, shown, raw)
    except HubError as error:
        # Clients try again after 5xx, again and again, and their upload stands still.
        _log.warning("a chunk is not told of", error=error.message)
        answer = None
    if answer is None:
        raise NotFound(reason=NOTHING_HERE)
    return Response(answer, media_type="application/octet-stream")


async def _answer(request: Request, shown: XetToken, raw: bytes) -> bytes | None:
    xet = request.hub.stores.xet
    for xorb, position in await xet.xorbs_containing(raw):
        ranges = await visible_chunks(request, shown, xorb)
        if not any(start <= position < end for start, end in ranges):
            continue
        if await xet.is_damaged(xorb):
            continue
        told = [(xorb, ranges), *await _following(request, shown, xorb, position)]
        indexes = [await xet.index(each) for each, _ in told]
        # From here on the client counts on them.
        if await xet.touch(each for each, _ in told):
            known = [
                KnownChunks(to_raw(each.name), index, readable, first=(position,) * (each is xorb))
                for (each, readable), index in zip(told, indexes, strict=True)
            ]
            return await asyncio.to_thread(_written, known)
    return None


async def _following(
    request: Request, shown: XetToken, xorb: KnownXorb, position: int
) -> list[tuple[KnownXorb, Ranges]]:
    """Return what comes next in a file, so that a client need not ask again and again.

    It asks about one chunk in a thousand, and sends what it has not been told of.
    """
    after = await following_xorbs(request.hub.db, xorb, position)
    found = [(each, await visible_chunks(request, shown, each)) for each in after]
    told = [(each, ranges) for each, ranges in found if ranges]
    return [each for each in told if not await request.hub.stores.xet.is_damaged(each[0])]


def _written(known: list[KnownChunks]) -> bytes:
    now = int(time.time())
    return write_dedup_shard(known, key=secrets.token_bytes(32), now=now, expiry=now + GOOD_FOR_S)
