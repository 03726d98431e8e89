"""Uploads xorbs, and answers whether a xorb is stored."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.errors import NotFound
from hubstead.http import json_response, receive_into
from hubstead.repos import Right
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize, upload_session
from hubstead.wire.xet.shapes import SizeResponse, XorbResponse
from hubstead.wire.xet.visibility import fully_visible_xorb
from hubstead.xet import MAX_CHUNKS, MAX_STORED_BYTES, find_xorb, to_raw, was_uploaded

#: With the footer that hf_xet before 1.1.4 sends.
MAX_BODY_BYTES = MAX_STORED_BYTES + 96 + 40 * MAX_CHUNKS


async def upload_xorb(request: Request) -> ASGIApp:
    """Receive a xorb; respond once all chunks are verified and the xorb is durable.

    ``was_inserted`` tells whether it is new to the repository: others may have stored it before.
    """
    await authorize(request, Right.PROPOSE)
    db, name = request.hub.db, request.text("hash")
    to_raw(name)
    xorb = await find_xorb(db, name)
    was_here = xorb is not None and await was_uploaded(db, request.repo.pk, xorb)
    receiving = request.hub.stores.xet.receive_xorb(
        name, request.repo.pk, session=upload_session(request)
    )
    async with receiving as upload:
        await receive_into(
            request.scope, request.receive, upload.feed, limit=MAX_BODY_BYTES, what="The xorb"
        )
    return json_response(XorbResponse(not was_here))


async def xorb_size(request: Request) -> ASGIApp:
    """Return the size of a xorb to clients that may see all of it."""
    token = await authorize(request, Right.READ)
    name = request.text("hash")
    to_raw(name)
    xorb = await fully_visible_xorb(request, token, name)
    if xorb is None:
        raise NotFound(reason=NOTHING_HERE)
    return SizeResponse(xorb.bytes)
