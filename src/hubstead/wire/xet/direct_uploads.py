"""Grants: whether a xorb must be sent at all, and where to (protocol/xet.md 7.2).

With blobs in an S3 that clients can reach, a xorb goes straight there; the client then says that
it is there, and it is read and checked like any other before anybody may use it.
"""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp

from hubstead.errors import BlobNotFound, InvalidCredentials, InvalidInput, NotFound
from hubstead.http import Response, json_response
from hubstead.repos import Right
from hubstead.wire import Request
from hubstead.wire.xet.authorization import authorize
from hubstead.wire.xet.shapes import Checksum, GrantRequest, GrantResponse
from hubstead.wire.xet.visibility import fully_visible_xorb
from hubstead.xet import MAX_STORED_BYTES, to_raw

PURPOSE = "xet direct upload"
NOT_OFFERED = "Send the xorb to this server itself"


class DirectGrant(msgspec.Struct, frozen=True, array_like=True):
    """What a direct upload was begun for; the id that clients send back is this, sealed."""

    upload: str
    name: str
    repo: str
    user: int


async def offer_direct_upload(request: Request) -> ASGIApp:
    """Say that a xorb is here already, or where to send it if not to this server."""
    shown = await authorize(request, Right.WRITE)
    name = request.text("hash")
    to_raw(name)
    asked = await request.json(GrantRequest)
    xorb = await fully_visible_xorb(request, shown, name)
    if xorb is not None and await request.hub.stores.xet.touch([xorb]):
        return Response()
    offered = await _offer(request, name, asked)
    if offered is None:
        raise NotFound(reason=NOT_OFFERED)
    return json_response(offered, status=201)


async def _offer(request: Request, name: str, asked: GrantRequest) -> GrantResponse | None:
    settings = request.hub.settings
    if not settings.s3.direct_downloads or not 0 < asked.length <= MAX_STORED_BYTES:
        return None
    begun = await request.hub.blobs.direct_upload(
        asked.length,
        crc64nvme=_crc(asked.checksum),
        expires_s=int(settings.blobs.signed_url_seconds),
    )
    if begun is None:
        return None
    sealed = request.hub.seal.sign(
        DirectGrant(begun.id, name, request.repo.id, request.actor.pk),
        purpose=PURPOSE,
        seconds=settings.blobs.signed_url_seconds,
    )
    return GrantResponse(sealed, begun.method, begun.url, dict(begun.headers))


def _crc(checksum: Checksum | None) -> int | None:
    if checksum is None or checksum.algo != "crc64nvme":
        return None
    text = checksum.value
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64):
        raise InvalidInput(reason="a checksum crc64nvme is a decimal number of 64 bits")
    return int(text)


async def commit_direct_upload(request: Request) -> ASGIApp:
    """Take a xorb that was sent straight to S3; the answer comes when all of it was checked."""
    await authorize(request, Right.WRITE)
    xet = request.hub.stores.xet
    try:
        begun = request.hub.seal.read(request.text("id"), DirectGrant, purpose=PURPOSE)
        if (begun.name, begun.repo, begun.user) != _asked(request):
            raise InvalidCredentials()
        incoming = await xet.adopt(begun.name, begun.upload)
    except (BlobNotFound, InvalidCredentials):
        raise NotFound(reason="Nothing was sent for this grant") from None
    await xet.accept(incoming, request.repo.pk)
    return Response()


def _asked(request: Request) -> tuple[str, str, int]:
    return request.text("hash"), request.repo.id, request.actor.pk
