"""Upload and download LFS objects by signed URLs, without other credentials."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.types import ASGIApp

from hubstead.blobs import MultipartUpload, UploadReceiver, receive_part
from hubstead.errors import BlobNotFound, InvalidInput
from hubstead.http import (
    FileResponse,
    Response,
    content_length,
    names_a_tag,
    receive_into,
    redirect,
)
from hubstead.repos import Repo, Right
from hubstead.wire import Request, open_lfs
from hubstead.wire.lfs.shapes import Completion, lfs_response
from hubstead.wire.lfs.signed_urls import (
    DOWNLOAD,
    PARTS,
    UPLOAD,
    SignatureRefused,
    UrlGrant,
    authorize_grant,
    read_grant,
)
from hubstead.xet import find_lfs_object


async def upload(request: Request) -> ASGIApp:
    """Receive an object; respond when its bytes are verified and durable."""
    grant = _object_grant(request, UPLOAD)
    repo = await authorize_grant(request, grant, Right.PROPOSE)
    _check_length(request, grant.size)
    async with _object_receiver(request, repo, grant) as upload, upload.stream() as write:
        await _receive_body(request, write, grant.size)
    return Response()


async def upload_part(request: Request) -> ASGIApp:
    """Receive one part of an object."""
    grant = _multipart_grant(request)
    number = _part_number(request, grant)
    await authorize_grant(request, grant, Right.PROPOSE)
    multipart = _multipart(grant)
    size = multipart.size_of(number)
    _check_length(request, size)
    async with receive_part(request.hub.blobs, multipart, number) as part:
        await _receive_body(request, part.write, size)
    # The Python client treats a response without an etag as a failure.
    return Response(headers={"etag": f'"{part.info.etag}"'})


async def complete(request: Request) -> ASGIApp:
    """Assemble an object from its parts; a repeated request changes nothing."""
    grant = _multipart_grant(request)
    repo = await authorize_grant(request, grant, Right.PROPOSE)
    completion = await request.json(Completion)
    if completion.oid not in (None, grant.oid):
        raise InvalidInput(
            reason=f"this upload is of {grant.oid}, not of {str(completion.oid)[:80]!r}"
        )
    # A client that lost the response repeats the request: it waits for the first one to end.
    async with request.hub.stores.locks.of(f"lfs {grant.upload}"):
        await _check_parts(request, grant, completion)
        async with _object_receiver(request, repo, grant) as upload:
            await upload.assemble(grant.upload, range(1, _multipart(grant).parts + 1))
    return lfs_response({})


async def download(request: Request) -> ASGIApp:
    """Send an object, whole or in part."""
    grant = _object_grant(request, DOWNLOAD)
    repo = await authorize_grant(request, grant, Right.READ)
    lfs_object = await find_lfs_object(request.hub.db, repo.pk, grant.oid)
    if lfs_object is None or not lfs_object.committed:
        raise BlobNotFound(name=grant.oid)
    direct = request.hub.blobs.direct if lfs_object.is_plain and request.method == "GET" else None
    lfs_object.require_intact()
    if direct is not None and not names_a_tag(request.scope):  # the object store has other etags
        expires_s = int(request.hub.settings.blobs.download_url_seconds)
        url = await direct.url(
            lfs_object.place, expires_s=expires_s, media_type="application/octet-stream"
        )
        return redirect(url, status=302, headers={"cache-control": "no-store"})
    headers = [("Cache-Control", "private, no-transform")]
    return FileResponse(await open_lfs(request, lfs_object), etag=grant.oid, headers=headers)


def _object_grant(request: Request, purpose: str) -> UrlGrant:
    grant = read_grant(request, purpose)
    if request.text("oid") != grant.oid:
        raise SignatureRefused()
    return grant


def _multipart_grant(request: Request) -> UrlGrant:
    grant = read_grant(request, PARTS)
    if request.text("upload") != grant.upload:
        raise SignatureRefused()
    return grant


def _part_number(request: Request, grant: UrlGrant) -> int:
    text = request.text("number")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    count = _multipart(grant).parts
    if not 1 <= number <= count:
        raise InvalidInput(reason=f"this upload has the parts 1 to {count}, not {text[:20]!r}")
    return number


def _check_length(request: Request, size: int) -> None:
    """Reject a Content-Length other than the signed size before reading the body."""
    announced = content_length(request.scope)
    if announced is not None and announced != size:
        raise InvalidInput(reason=f"this address takes {size} bytes, not {announced}")


async def _receive_body(request: Request, write: Callable[[memoryview], None], size: int) -> None:
    await receive_into(
        request.scope, request.receive, write, limit=size, what="The body", setting="its size"
    )


def _object_receiver(
    request: Request, repo: Repo, grant: UrlGrant
) -> AbstractAsyncContextManager[UploadReceiver]:
    return request.hub.stores.xet.receive_lfs_object(
        repo.pk, grant.oid, grant.size, pusher_pk=request.actor.pk
    )


def _multipart(grant: UrlGrant) -> MultipartUpload:
    return MultipartUpload(grant.upload, grant.size, grant.part_bytes)


async def _check_parts(request: Request, grant: UrlGrant, completion: Completion) -> None:
    """Reject a completion that does not name every part once, or names another etag."""
    count = _multipart(grant).parts
    numbers = [part.part_number for part in completion.parts]
    if sorted(numbers) != list(range(1, count + 1)):
        raise InvalidInput(reason=f"an upload of {count} parts needs each of them, once")
    received = await request.hub.blobs.parts.received(
        grant.upload
    )  # empty once the upload is complete
    for part in completion.parts:
        stored = received.get(part.part_number)
        if stored and part.etag is not None and part.etag.strip('"') != stored.etag:
            raise InvalidInput(
                reason=f"part {part.part_number} was received with another etag: send it again"
            )
