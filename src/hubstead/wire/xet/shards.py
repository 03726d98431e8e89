"""Registers the files of shards, with one response at the end or with progress lines."""

from __future__ import annotations

from contextlib import nullcontext
from tempfile import SpooledTemporaryFile

from starlette.types import ASGIApp

from hubstead.admission import Lane, run_in_lane
from hubstead.http import json_response, receive_into
from hubstead.repos import Right
from hubstead.wire import Request
from hubstead.wire.xet.authorization import authorize
from hubstead.wire.xet.progress import CheckProgress, ProgressResponse
from hubstead.wire.xet.shapes import ShardResponse
from hubstead.xet import Shard, parse_shard

#: Larger shards wait on disk for their turn, so that only one of them is in memory.
LARGE_BYTES = 8 << 20
_IN_MEMORY_BYTES = 1 << 20


async def register_shard(request: Request) -> ASGIApp:
    """Register the files of a shard; respond once all of it is verified."""
    await authorize(request, Right.PROPOSE)
    body = await _receive(request)
    return json_response(ShardResponse(int(await _register(request, body, CheckProgress()))))


async def register_with_progress(request: Request) -> ASGIApp:
    """Register the files of a shard and respond with lines of progress.

    Clients show the user the reason of a refusal only in this form, so every fault of the shard
    goes into the last line.
    """
    await authorize(request, Right.PROPOSE)
    body = await _receive(request)
    return ProgressResponse(lambda progress: _register(request, body, progress))


async def _receive(request: Request) -> SpooledTemporaryFile[bytes]:
    settings = request.hub.settings
    folder = settings.incoming
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    body = SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(folder), prefix="shard-")  # noqa: SIM115
    try:
        await receive_into(
            request.scope,
            request.receive,
            body.write,
            limit=settings.xet.max_shard_bytes,
            what="The shard",
            setting="xet_max_shard_bytes",
        )
    except BaseException:
        body.close()
        raise
    return body


async def _register(
    request: Request, body: SpooledTemporaryFile[bytes], progress: CheckProgress
) -> bool:
    with body:
        is_large = body.tell() > LARGE_BYTES
        async with request.hub.stores.locks.of("xet shard") if is_large else nullcontext():
            shard = await run_in_lane(
                Lane.DIGESTS, _parse, body, request.hub.settings.xet.max_terms
            )
            return await request.hub.stores.xet.shards.register(
                request.repo.pk, request.actor.pk, shard, progress=progress
            )


def _parse(body: SpooledTemporaryFile[bytes], max_terms: int) -> Shard:
    body.seek(0)
    return parse_shard(body.read(), max_terms=max_terms)
