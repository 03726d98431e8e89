"""Direct uploads of xorbs to S3 (protocol/xet.md 7.2).

If clients can reach the S3 of the blobs, a xorb goes straight there. The client then commits the
upload, and the hub reads and verifies the xorb like any other before it is visible.
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
    """What a direct upload is for; signed, it is the id that the client sends back."""

    upload: str
    name: str
    repo: str
    user: int


async def offer_direct_upload(request: Request) -> ASGIApp:
    """Respond 200 if the xorb is stored, or 201 with the address to send it to."""
    token = await authorize(request, Right.PROPOSE)
    name = request.text("hash")
    to_raw(name)
    body = await request.json(GrantRequest)
    xorb = await fully_visible_xorb(request, token, name)
    if xorb is not None and await request.hub.stores.xet.renew_xorbs([xorb]):
        return Response()
    offer = await _begin_upload(request, name, body)
    if offer is None:
        raise NotFound(reason=NOT_OFFERED)
    return json_response(offer, status=201)


async def _begin_upload(request: Request, name: str, body: GrantRequest) -> GrantResponse | None:
    settings = request.hub.settings
    direct = request.hub.blobs.direct
    if direct is None or not 0 < body.length <= MAX_STORED_BYTES:
        return None
    target = await direct.begin_upload(
        body.length, crc64nvme=_crc(body.checksum), expires_s=int(settings.blobs.signed_url_seconds)
    )
    if target is None:
        return None
    grant = request.hub.signer.sign(
        DirectGrant(target.id, name, request.repo.id, request.actor.pk),
        purpose=PURPOSE,
        seconds=settings.blobs.signed_url_seconds,
    )
    return GrantResponse(grant, target.method, target.url, dict(target.headers))


def _crc(checksum: Checksum | None) -> int | None:
    if checksum is None or checksum.algo != "crc64nvme":
        return None
    text = checksum.value
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64):
        raise InvalidInput(reason="a checksum crc64nvme is a decimal number of 64 bits")
    return int(text)


async def commit_direct_upload(request: Request) -> ASGIApp:
    """Adopt a xorb from S3; respond once all chunks are verified."""
    await authorize(request, Right.PROPOSE)
    try:
        grant = request.hub.signer.read(request.text("id"), DirectGrant, purpose=PURPOSE)
        if (grant.name, grant.repo, grant.user) != (
            request.text("hash"),
            request.repo.id,
            request.actor.pk,
        ):
            raise InvalidCredentials()
        await request.hub.stores.xet.adopt_xorb(grant.name, request.repo.pk, grant.upload)
    except (BlobNotFound, InvalidCredentials):
        raise NotFound(reason="Nothing was sent for this grant") from None
    return Response()
