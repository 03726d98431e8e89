"""The bytes of LFS objects, coming and going by signed addresses without other credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from starlette.types import ASGIApp

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    MultipartUpload,
    Sha256Verifier,
    StoredKey,
    new_stored_name,
    register_upload,
)
from hubstead.errors import BlobNotFound, InvalidInput
from hubstead.http import (
    FileResponse,
    Response,
    content_length,
    names_a_tag,
    receive_into,
    redirect,
)
from hubstead.repos import Right
from hubstead.threads import to_thread_to_the_end
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

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class _Writer(Protocol[T_co]):
    def write(self, chunk: bytes | memoryview) -> None: ...
    def commit(self) -> T_co: ...
    def abort(self) -> None: ...


async def upload(request: Request) -> ASGIApp:
    """Take the bytes of an object; the answer comes when they are checked and durable."""
    grant = _of_object(request, UPLOAD)
    repo = await authorize_grant(request, grant, Right.WRITE)
    _check_length(request, grant.size)
    place = await new_stored_name(request.hub.db, _key(grant), request.hub.settings)
    verify = Sha256Verifier(grant.oid, grant.size)
    store = request.hub.blobs
    replace = await _is_damaged(request, grant)
    await _receive(
        request, lambda: store.writer(place, verify, size=grant.size, replace=replace), grant.size
    )
    await _accept(request, repo.pk, grant, place, replaced=replace)
    return Response()


async def upload_part(request: Request) -> ASGIApp:
    """Take one part of an object."""
    grant = _of_upload(request)
    number = _part_number(request, grant)
    await authorize_grant(request, grant, Right.WRITE)
    parts = MultipartUpload(grant.upload, grant.size, grant.part_bytes)
    size, offset = parts.size_of(number), parts.offset_of(number)
    _check_length(request, size)
    store = request.hub.blobs
    part = await _receive(
        request, lambda: store.part_writer(grant.upload, number, offset=offset, size=size), size
    )
    # The Python client takes an upload without this for a failure.
    return Response(headers={"etag": f'"{part.etag}"'})


async def complete(request: Request) -> ASGIApp:
    """Make an object of the parts that were sent; doing so again changes nothing."""
    grant = _of_upload(request)
    repo = await authorize_grant(request, grant, Right.WRITE)
    sent = await request.json(Completion)
    if sent.oid not in (None, grant.oid):
        raise InvalidInput(reason=f"this upload is of {grant.oid}, not of {str(sent.oid)[:80]!r}")
    # A client that lost the answer asks again: let it wait for the first one to end.
    async with request.hub.stores.locks.of(f"lfs {grant.upload}"):
        replace = await _is_damaged(request, grant)
        place = await _assemble(request, grant, sent, replace=replace)
        await _accept(request, repo.pk, grant, place, replaced=replace)
    return lfs_response({})


async def download(request: Request) -> ASGIApp:
    """Send an object, whole or in part."""
    grant = _of_object(request, DOWNLOAD)
    repo = await authorize_grant(request, grant, Right.READ)
    found = await find_lfs_object(request.hub.db, repo.pk, grant.oid)
    if found is None or not found.committed:
        raise BlobNotFound(name=grant.oid)
    settings = request.hub.settings
    direct = settings.s3.direct_downloads and found.is_plain and request.method == "GET"
    if direct and not names_a_tag(request.scope):  # the store has tags of its own
        url = await request.hub.blobs.url(
            found.place, expires_s=int(settings.blobs.signed_url_seconds)
        )
        if url is not None:
            return redirect(url, status=302)
    headers = [("Cache-Control", "private, no-transform")]
    return FileResponse(await open_lfs(request, found), etag=grant.oid, headers=headers)


def _of_object(request: Request, purpose: str) -> UrlGrant:
    grant = read_grant(request, purpose)
    if request.text("oid") != grant.oid:
        raise SignatureRefused()
    return grant


def _of_upload(request: Request) -> UrlGrant:
    grant = read_grant(request, PARTS)
    if request.text("upload") != grant.upload:
        raise SignatureRefused()
    return grant


def _part_number(request: Request, grant: UrlGrant) -> int:
    text = request.text("number")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    count = MultipartUpload(grant.upload, grant.size, grant.part_bytes).parts
    if not 1 <= number <= count:
        raise InvalidInput(reason=f"this upload has the parts 1 to {count}, not {text[:20]!r}")
    return number


def _check_length(request: Request, size: int) -> None:
    """Refuse another length than the one signed before a byte is read."""
    announced = content_length(request.scope)
    if announced is not None and announced != size:
        raise InvalidInput(reason=f"this address takes {size} bytes, not {announced}")


async def _receive(request: Request, start: Callable[[], _Writer[T]], size: int) -> T:
    """Lead the body into a writer, in threads; on any failure nothing is left of it."""
    writer = await asyncio.to_thread(start)
    try:
        await receive_into(
            request.scope,
            request.receive,
            writer.write,
            limit=size,
            what="The body",
            setting="its size",
        )
        return await to_thread_to_the_end(writer.commit)
    finally:
        await to_thread_to_the_end(writer.abort)


async def _is_damaged(request: Request, grant: UrlGrant) -> bool:
    """Say whether what is stored of the object has to be replaced by what comes."""
    return bool(await request.hub.stores.xet.damaged_objects([grant.oid]))


async def _assemble(
    request: Request, grant: UrlGrant, sent: Completion, *, replace: bool
) -> StoredKey:
    store = request.hub.blobs
    count = MultipartUpload(grant.upload, grant.size, grant.part_bytes).parts
    numbers = [part.part_number for part in sent.parts]
    if sorted(numbers) != list(range(1, count + 1)):
        raise InvalidInput(reason=f"an upload of {count} parts needs each of them, once")
    received = await store.parts(grant.upload)  # none once it is complete
    for part in sent.parts:
        known = received.get(part.part_number)
        if known and part.etag is not None and part.etag.strip('"') != known.etag:
            raise InvalidInput(
                reason=f"part {part.part_number} was received with another etag: send it again"
            )
    return await store.assemble(
        grant.upload,
        range(1, count + 1),
        _key(grant),
        Sha256Verifier(grant.oid, grant.size),
        size=grant.size,
        replace=replace,
        place=await new_stored_name(request.hub.db, _key(grant), request.hub.settings),
    )


def _key(grant: UrlGrant) -> BlobKey:
    return BlobKey(BlobKind.LFS, grant.oid)


async def _accept(
    request: Request, repo_pk: int, grant: UrlGrant, place: StoredKey, *, replaced: bool
) -> None:
    await register_upload(
        request.hub.db,
        request.hub.blobs,
        repo_pk,
        _key(grant),
        grant.size,
        pusher_pk=request.actor.pk,
        hold_ms=int(request.hub.settings.blobs.hold_seconds * 1000),
        place=place,
        upload_id=grant.upload or None,
        replaced=replaced,
    )
    if replaced:
        await request.hub.stores.xet.drop_damaged_files(grant.oid)
