"""Shards: registering files, answered at once at the end or told of on the way."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from tempfile import SpooledTemporaryFile

from starlette.types import ASGIApp

from hubstead.repos import Right
from hubstead.wire.http import Call, json_answer, receive_into
from hubstead.wire.xet_cas.admission import admitted
from hubstead.wire.xet_cas.progress import Progress, ProgressAnswer
from hubstead.wire.xet_cas.shapes import Registered
from hubstead.xet import Shard, parse_shard

#: Larger shards wait on disk for their turn, so that memory holds one of them.
LARGE_BYTES = 8 << 20
_IN_MEMORY_BYTES = 1 << 20


async def register(call: Call) -> ASGIApp:
    """Register the files of a shard; the answer comes when all of it was checked."""
    await admitted(call, Right.WRITE)
    body = await _receive(call)
    return json_answer(Registered(int(await _register(call, body, Progress()))))


async def register_aloud(call: Call) -> ASGIApp:
    """Register the files of a shard, telling how far that is line by line.

    Only this form shows the user why a shard is refused, so everything that is found wrong with
    it is told in the last line.
    """
    await admitted(call, Right.WRITE)
    body = await _receive(call)
    return ProgressAnswer(lambda progress: _register(call, body, progress))


async def _receive(call: Call) -> SpooledTemporaryFile[bytes]:
    settings = call.hub.settings
    folder = settings.data / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    body = SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(folder), prefix="shard-")  # noqa: SIM115
    try:
        await receive_into(
            call.scope,
            call.receive,
            body.write,
            limit=settings.xet_max_shard_bytes,
            what="The shard",
            setting="xet_max_shard_bytes",
        )
    except BaseException:
        body.close()
        raise
    return body


async def _register(call: Call, body: SpooledTemporaryFile[bytes], progress: Progress) -> bool:
    with body:
        large = body.tell() > LARGE_BYTES
        async with call.hub.stores.locks.of("xet shard") if large else nullcontext():
            shard = await asyncio.to_thread(_parsed, body, call.hub.settings.xet_max_terms)
            return await call.hub.stores.xet.register(
                call.repo.pk, call.actor.pk, shard, progress=progress
            )


def _parsed(body: SpooledTemporaryFile[bytes], max_terms: int) -> Shard:
    body.seek(0)
    return parse_shard(body.read(), max_terms=max_terms)
