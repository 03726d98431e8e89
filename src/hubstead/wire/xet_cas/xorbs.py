"""Xorbs: sending them, and asking whether one is here."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp

from hubstead.errors import NotFound
from hubstead.repos import Right
from hubstead.wire.http import Call, json_answer, receive_into
from hubstead.wire.xet_cas.admission import NOTHING_HERE, admitted, session_of
from hubstead.wire.xet_cas.readable import known_whole
from hubstead.wire.xet_cas.shapes import Inserted, SizeAnswer
from hubstead.xet import MAX_CHUNKS, MAX_STORED_BYTES, to_raw

#: With the footer that hf_xet before 1.1.4 sends.
MAX_BODY_BYTES = MAX_STORED_BYTES + 96 + 40 * MAX_CHUNKS


async def upload(call: Call) -> ASGIApp:
    """Take a xorb; the answer comes when every chunk of it was checked and it is durable."""
    await admitted(call, Right.WRITE)
    xet = call.hub.stores.xet
    with xet.ahead.coming(session_of(call)) as run:
        incoming = await xet.incoming(call.text("hash"), run.look)
        try:
            await receive_into(
                call.scope, call.receive, incoming.feed, limit=MAX_BODY_BYTES, what="The xorb"
            )
            await xet.commit(incoming)
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.abort))
        inserted = await xet.accept(incoming, call.repo.pk)
        if inserted and incoming.index is not None:
            run.keep(incoming.key.name, incoming.index)
    return json_answer(Inserted(inserted))


async def exists(call: Call) -> ASGIApp:
    """Say how large a xorb is, to those who may know of all of it."""
    shown = await admitted(call, Right.CONTENT)
    name = call.text("hash")
    to_raw(name)
    found = await known_whole(call, shown, name)
    if found is None:
        raise NotFound(reason=NOTHING_HERE)
    return SizeAnswer(found.bytes)
