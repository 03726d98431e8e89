"""Xorbs: sending them, and asking whether one is here."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp

from hubstead.errors import NotFound
from hubstead.http import json_response, receive_into
from hubstead.repos import Right
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize, session_of
from hubstead.wire.xet.shapes import SizeResponse, XorbResponse
from hubstead.wire.xet.visibility import fully_visible_xorb
from hubstead.xet import MAX_CHUNKS, MAX_STORED_BYTES, to_raw

#: With the footer that hf_xet before 1.1.4 sends.
MAX_BODY_BYTES = MAX_STORED_BYTES + 96 + 40 * MAX_CHUNKS


async def upload(request: Request) -> ASGIApp:
    """Take a xorb; the answer comes when every chunk of it was checked and it is durable."""
    await authorize(request, Right.WRITE)
    xet = request.hub.stores.xet
    with xet.ahead.coming(session_of(request)) as run:
        incoming = await xet.incoming(request.text("hash"), run.look)
        try:
            await receive_into(
                request.scope, request.receive, incoming.feed, limit=MAX_BODY_BYTES, what="The xorb"
            )
            await xet.commit(incoming)
        finally:
            await asyncio.shield(asyncio.to_thread(incoming.abort))
        inserted = await xet.accept(incoming, request.repo.pk)
        if inserted and incoming.index is not None:
            run.keep(incoming.key.name, incoming.index)
    return json_response(XorbResponse(inserted))


async def exists(request: Request) -> ASGIApp:
    """Say how large a xorb is, to those who may know of all of it."""
    shown = await authorize(request, Right.READ)
    name = request.text("hash")
    to_raw(name)
    found = await fully_visible_xorb(request, shown, name)
    if found is None:
        raise NotFound(reason=NOTHING_HERE)
    return SizeResponse(found.bytes)
