"""Global deduplication: answers where a chunk is stored, as far as the client may know."""

from __future__ import annotations

import secrets
import time

import structlog
from starlette.types import ASGIApp

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import HubError, NotFound
from hubstead.http import Response
from hubstead.repos import Right, XetToken
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize, upload_session
from hubstead.wire.xet.visibility import Ranges, visible_chunks
from hubstead.xet import (
    KnownChunks,
    KnownXorb,
    following_xorbs,
    to_raw,
    write_dedup_shard,
    xorbs_containing,
)

#: Long enough for one upload: a change of rights does not reach what clients have on disk.
EXPIRY_S = 900

_log = structlog.get_logger("hubstead.xet")


async def find_chunk(request: Request) -> ASGIApp:
    """Respond with a shard of a xorb that contains the chunk, limited to visible chunks."""
    token = await authorize(request, Right.READ)
    raw = to_raw(request.text("hash"))
    if token.write:
        request.hub.stores.xet.eager_hasher.note_query(upload_session(request), raw)
    try:
        shard = await _dedup_shard(request, token, raw)
    except HubError as error:
        # Clients retry 5xx for a long time, while their upload waits.
        _log.warning("a chunk query failed", error=error.message)
        shard = None
    if shard is None:
        raise NotFound(reason=NOTHING_HERE)
    return Response(shard, media_type="application/octet-stream")


async def _dedup_shard(request: Request, token: XetToken, raw: bytes) -> bytes | None:
    xet = request.hub.stores.xet
    for xorb, position in await xorbs_containing(request.hub.db, raw):
        ranges = await visible_chunks(request, token, xorb)
        if not any(start <= position < end for start, end in ranges):
            continue
        if await xet.damage.is_damaged(xorb):
            continue
        listed = [(xorb, ranges), *await _following(request, token, xorb, position)]
        indexes = [await xet.indexes.get(entry.blob) for entry, _ in listed]
        # The response makes the client rely on these xorbs.
        if await xet.renew_xorbs(entry for entry, _ in listed):
            known = [
                KnownChunks(to_raw(entry.name), index, visible, first=(position,) * (entry is xorb))
                for (entry, visible), index in zip(listed, indexes, strict=True)
            ]
            return await run_in_lane(Lane.DIGESTS, _write, known)
    return None


async def _following(
    request: Request, token: XetToken, xorb: KnownXorb, position: int
) -> list[tuple[KnownXorb, Ranges]]:
    """Return the visible xorbs that follow in a file, so that the client queries less often.

    A client queries one chunk in a thousand, and sends all chunks that no response listed.
    """
    damage = request.hub.stores.xet.damage
    following = await following_xorbs(request.hub.db, xorb, position)
    visible = [(entry, await visible_chunks(request, token, entry)) for entry in following]
    return [
        (entry, ranges)
        for entry, ranges in visible
        if ranges and not await damage.is_damaged(entry)
    ]


def _write(known: list[KnownChunks]) -> bytes:
    now = int(time.time())
    return write_dedup_shard(known, key=secrets.token_bytes(32), now=now, expiry=now + EXPIRY_S)
