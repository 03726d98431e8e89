"""Grants: whether a xorb must be sent at all, and where to (protocol/xet.md 7.2).

With blobs in an S3 that clients can reach, a xorb goes straight there; the client then says that
it is there, and it is read and checked like any other before anybody may use it.
"""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp

from hubstead.errors import BlobNotFound, InvalidCredentials, InvalidInput, NotFound
from hubstead.repos import Right
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.xet_cas.admission import admitted
from hubstead.wire.xet_cas.readable import known_whole
from hubstead.wire.xet_cas.shapes import Checksum, GrantAnswer, GrantRequest
from hubstead.xet import MAX_STORED_BYTES, to_raw

PURPOSE = "xet direct upload"
NOT_OFFERED = "Send the xorb to this server itself"


class DirectGrant(msgspec.Struct, frozen=True, array_like=True):
    """What a direct upload was begun for; the id that clients send back is this, sealed."""

    upload: str
    name: str
    repo: str
    user: int


async def grant(call: Call) -> ASGIApp:
    """Say that a xorb is here already, or where to send it if not to this server."""
    shown = await admitted(call, Right.WRITE)
    name = call.text("hash")
    to_raw(name)
    asked = await call.json(GrantRequest)
    xorb = await known_whole(call, shown, name)
    if xorb is not None and await call.hub.stores.xet.touch([xorb]):
        return Answer()
    offered = await _offer(call, name, asked)
    if offered is None:
        raise NotFound(reason=NOT_OFFERED)
    return json_answer(offered, status=201)


async def _offer(call: Call, name: str, asked: GrantRequest) -> GrantAnswer | None:
    settings = call.hub.settings
    if not settings.s3_direct_downloads or not 0 < asked.length <= MAX_STORED_BYTES:
        return None
    begun = await call.hub.blobs.direct_upload(
        asked.length, crc64nvme=_crc(asked.checksum), expires_s=int(settings.signed_url_seconds)
    )
    if begun is None:
        return None
    sealed = call.hub.seal.sign(
        DirectGrant(begun.id, name, call.repo.id, call.actor.pk),
        purpose=PURPOSE,
        seconds=settings.signed_url_seconds,
    )
    return GrantAnswer(sealed, begun.method, begun.url, dict(begun.headers))


def _crc(checksum: Checksum | None) -> int | None:
    if checksum is None or checksum.algo != "crc64nvme":
        return None
    text = checksum.value
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64):
        raise InvalidInput(reason="a checksum crc64nvme is a decimal number of 64 bits")
    return int(text)


async def commit(call: Call) -> ASGIApp:
    """Take a xorb that was sent straight to S3; the answer comes when all of it was checked."""
    await admitted(call, Right.WRITE)
    xet = call.hub.stores.xet
    try:
        begun = call.hub.seal.read(call.text("id"), DirectGrant, purpose=PURPOSE)
        if (begun.name, begun.repo, begun.user) != _asked(call):
            raise InvalidCredentials()
        incoming = await xet.adopt(begun.name, begun.upload)
    except (BlobNotFound, InvalidCredentials):
        raise NotFound(reason="Nothing was sent for this grant") from None
    await xet.accept(incoming, call.repo.pk)
    return Answer()


def _asked(call: Call) -> tuple[str, str, int]:
    return call.text("hash"), call.repo.id, call.actor.pk
