"""The bytes of LFS objects, coming and going by signed addresses without other credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from starlette.types import ASGIApp

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    Sha256Verifier,
    StoredKey,
    Upload,
    accept_upload,
    new_place,
)
from hubstead.errors import BlobNotFound, InvalidInput
from hubstead.repos import Right
from hubstead.wire.http import (
    Answer,
    Call,
    FileAnswer,
    content_length,
    names_a_tag,
    open_lfs,
    receive_into,
    redirect,
)
from hubstead.wire.lfs.grants import (
    DOWNLOAD,
    PARTS,
    UPLOAD,
    Grant,
    SignatureRefused,
    grant_of,
    open_again,
)
from hubstead.wire.lfs.shapes import Completion, lfs_answer
from hubstead.xet import find

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class _Writer(Protocol[T_co]):
    def write(self, chunk: bytes | memoryview) -> None: ...
    def commit(self) -> T_co: ...
    def abort(self) -> None: ...


async def upload(call: Call) -> ASGIApp:
    """Take the bytes of an object; the answer comes when they are checked and durable."""
    grant = _of_object(call, UPLOAD)
    repo = await open_again(call, grant, Right.WRITE)
    _check_length(call, grant.size)
    place = await new_place(call.hub.db, _key(grant), call.hub.settings)
    verify = Sha256Verifier(grant.oid, grant.size)
    store = call.hub.blobs
    replace = await _is_damaged(call, grant)
    await _receive(
        call, lambda: store.writer(place, verify, size=grant.size, replace=replace), grant.size
    )
    await _accept(call, repo.pk, grant, place, replaced=replace)
    return Answer()


async def upload_part(call: Call) -> ASGIApp:
    """Take one part of an object."""
    grant = _of_upload(call)
    number = _part_number(call, grant)
    await open_again(call, grant, Right.WRITE)
    parts = Upload(grant.upload, grant.size, grant.part_bytes)
    size, offset = parts.size_of(number), parts.offset_of(number)
    _check_length(call, size)
    store = call.hub.blobs
    part = await _receive(
        call, lambda: store.part_writer(grant.upload, number, offset=offset, size=size), size
    )
    # The Python client takes an upload without this for a failure.
    return Answer(headers={"etag": f'"{part.etag}"'})


async def complete(call: Call) -> ASGIApp:
    """Make an object of the parts that were sent; doing so again changes nothing."""
    grant = _of_upload(call)
    repo = await open_again(call, grant, Right.WRITE)
    sent = await call.json(Completion)
    if sent.oid not in (None, grant.oid):
        raise InvalidInput(reason=f"this upload is of {grant.oid}, not of {str(sent.oid)[:80]!r}")
    # A client that lost the answer asks again: let it wait for the first one to end.
    async with call.hub.stores.locks.of(f"lfs {grant.upload}"):
        replace = await _is_damaged(call, grant)
        place = await _assemble(call, grant, sent, replace=replace)
        await _accept(call, repo.pk, grant, place, replaced=replace)
    return lfs_answer({})


async def download(call: Call) -> ASGIApp:
    """Send an object, whole or in part."""
    grant = _of_object(call, DOWNLOAD)
    repo = await open_again(call, grant, Right.CONTENT)
    found = await find(call.hub.db, repo.pk, grant.oid)
    if found is None or not found.committed:
        raise BlobNotFound(name=grant.oid)
    settings = call.hub.settings
    direct = settings.s3_direct_downloads and found.is_plain and call.method == "GET"
    if direct and not names_a_tag(call.scope):  # the store has tags of its own
        url = await call.hub.blobs.url(found.place, expires_s=int(settings.signed_url_seconds))
        if url is not None:
            return redirect(url, status=302)
    headers = [("Cache-Control", "private, no-transform")]
    return FileAnswer(await open_lfs(call, found), etag=grant.oid, headers=headers)


def _of_object(call: Call, purpose: str) -> Grant:
    grant = grant_of(call, purpose)
    if call.text("oid") != grant.oid:
        raise SignatureRefused()
    return grant


def _of_upload(call: Call) -> Grant:
    grant = grant_of(call, PARTS)
    if call.text("upload") != grant.upload:
        raise SignatureRefused()
    return grant


def _part_number(call: Call, grant: Grant) -> int:
    text = call.text("number")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    count = Upload(grant.upload, grant.size, grant.part_bytes).parts
    if not 1 <= number <= count:
        raise InvalidInput(reason=f"this upload has the parts 1 to {count}, not {text[:20]!r}")
    return number


def _check_length(call: Call, size: int) -> None:
    """Refuse another length than the one signed before a byte is read."""
    announced = content_length(call.scope)
    if announced is not None and announced != size:
        raise InvalidInput(reason=f"this address takes {size} bytes, not {announced}")


async def _receive(call: Call, start: Callable[[], _Writer[T]], size: int) -> T:
    """Lead the body into a writer, in threads; on any failure nothing is left of it."""
    writer = await asyncio.to_thread(start)
    try:
        await receive_into(
            call.scope, call.receive, writer.write, limit=size, what="The body", setting="its size"
        )
        return await _to_its_end(writer.commit)
    finally:
        await _to_its_end(writer.abort)


async def _to_its_end(step: Callable[[], T]) -> T:
    """Run ``step`` in a thread; when cancelled, wait for it all the same: it uses the writer."""
    running = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait([running])


async def _is_damaged(call: Call, grant: Grant) -> bool:
    """Say whether what is stored of the object has to be replaced by what comes."""
    return bool(await call.hub.stores.xet.damaged_objects([grant.oid]))


async def _assemble(call: Call, grant: Grant, sent: Completion, *, replace: bool) -> StoredKey:
    store = call.hub.blobs
    count = Upload(grant.upload, grant.size, grant.part_bytes).parts
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
        place=await new_place(call.hub.db, _key(grant), call.hub.settings),
    )


def _key(grant: Grant) -> BlobKey:
    return BlobKey(BlobKind.LFS, grant.oid)


async def _accept(
    call: Call, repo_pk: int, grant: Grant, place: StoredKey, *, replaced: bool
) -> None:
    await accept_upload(
        call.hub.db,
        call.hub.blobs,
        repo_pk,
        _key(grant),
        grant.size,
        pusher_pk=call.actor.pk,
        hold_ms=int(call.hub.settings.hold_seconds * 1000),
        place=place,
        upload_id=grant.upload or None,
        replaced=replaced,
    )
    if replaced:
        await call.hub.stores.xet.drop_damaged_files(grant.oid)
