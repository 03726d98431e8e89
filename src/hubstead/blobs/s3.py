"""Blobs as objects in a bucket of S3 or a compatible server.

The store creates a blob under its final key, by one conditional request or by an S3 multipart
upload that it completes only after the verification. A multipart upload of a client is one object
per part; assembling reads the parts in order and writes the blob.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore

from hubstead.admission import BoundedThreads, Lane, run_in_lane
from hubstead.blobs.interface import PartInfo, StoredBlob
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey
from hubstead.blobs.layout import (
    DONE,
    INCOMING,
    UPLOADS,
    blob_key,
    blob_path,
    done_name,
    done_place,
    part_name,
    part_number,
    upload_path,
)
from hubstead.blobs.s3_client import S3Client, s3_errors
from hubstead.blobs.s3_direct import S3DirectTransfers
from hubstead.blobs.s3_options import S3Options
from hubstead.blobs.s3_upload import ObjectUpload
from hubstead.blobs.store_base import (
    CHUNK_BYTES,
    ByteCount,
    PutThroughWriter,
    already_other,
    check_parts,
    check_range,
)
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobCorrupt, BlobNotFound, InvalidInput, Unavailable

if TYPE_CHECKING:
    from obstore import ObjectMeta

_PREFIX = re.compile(
    r"(?!\.{1,2}(/|$))[A-Za-z0-9_.=-]{1,200}(/(?!\.{1,2}(/|$))[A-Za-z0-9_.=-]{1,200})*"
)
_STREAM_BYTES = 256 << 10


class S3Blobs(PutThroughWriter):
    """A `BlobStore` below ``prefix`` in ``bucket``, which must exist.

    Raises:
        InvalidInput: if the prefix has characters that some servers change.
    """

    gives_paths = False
    is_shared = True

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        if prefix and not _PREFIX.fullmatch(prefix):
            raise InvalidInput(reason=f"not a prefix for blobs in a bucket: {prefix!r}")
        self._prefix = f"{prefix}/" if prefix else ""
        options = options or S3Options()
        self._client = S3Client(bucket, options)
        self.direct = S3DirectTransfers(self._client, self._prefix) if options.direct else None
        self._threads = BoundedThreads(8, "s3-part")

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> S3Writer:
        """See `BlobStore.writer`."""
        return S3Writer(self._object(blob_path(key), size, replace=replace), verify, size)

    def _object(self, path: str, size: int | None, *, replace: bool) -> ObjectUpload:
        whole = self._prefix + path
        return ObjectUpload(self._client, self._threads, whole, size, replace=replace)

    async def open(self, key: StoredKey) -> S3Blob:
        """See `BlobStore.open`."""
        size = await self.size(key)
        if size is None:
            raise BlobNotFound(name=key.name)
        return S3Blob(size, self._client, self._prefix + blob_path(key))

    async def size(self, key: StoredKey) -> int | None:
        """See `BlobStore.size`."""
        try:
            with s3_errors(key.name):
                whole = self._prefix + blob_path(key)
                return (await obstore.head_async(self._client.reader, whole))["size"]
        except BlobNotFound:
            return None

    async def delete(self, key: StoredKey) -> bool:
        """See `BlobStore.delete`."""
        existed = await self.size(key) is not None
        await self._remove([self._prefix + blob_path(key)] if existed else [])
        return existed

    async def _remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                with s3_errors():
                    await obstore.delete_async(self._client.reader, key)
            except BlobNotFound:  # some servers respond 404
                pass

    async def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """See `BlobStore.keys`."""
        async for path, entry in self._list(kind):
            if key := blob_key(kind, path):
                modified_ms = int(entry["last_modified"].timestamp() * 1000)
                yield StoredBlob(key, entry["size"], modified_ms)

    async def _list(self, folder: str) -> AsyncIterator[tuple[str, ObjectMeta]]:
        """Yield the objects below ``folder`` with their paths relative to the prefix."""
        stream = obstore.list(self._client.reader, self._prefix + folder, chunk_size=1000)
        while True:
            with s3_errors():
                try:
                    batch = await anext(stream)
                except StopAsyncIteration:
                    return
            for entry in batch:
                yield entry["path"].removeprefix(self._prefix), entry

    # -- multipart uploads ------------------------------------------------------------------

    def part_writer(self, upload: str, number: int, *, offset: int, size: int) -> S3PartWriter:
        """See `BlobStore.part_writer`; the offset follows from the order of the parts."""
        path = f"{upload_path(upload)}/{part_name(number)}"
        return S3PartWriter(self._object(path, size, replace=True), size)

    async def parts(self, upload: str) -> dict[int, PartInfo]:
        """See `BlobStore.parts`."""
        return (await self._list_upload(upload)).parts

    async def assemble(
        self,
        upload: str,
        numbers: Sequence[int],
        key: BlobKey,
        verify: Verifier,
        *,
        size: int,
        replace: bool = False,
        place: StoredKey | None = None,
    ) -> StoredKey:
        """See `BlobStore.assemble`."""
        state = await self._list_upload(upload)
        if state.done:
            done = done_place(state.done, key)
            if done is None:
                raise already_other(upload)
            return done
        place = place or key
        check_parts(state.parts, numbers, size)
        try:
            writer = self.writer(place, verify, size=size, replace=replace)
            await run_in_lane(Lane.TRANSFERS, self._join, upload, numbers, writer)
        except BlobCorrupt:
            await self.drop(upload)
            raise
        except BlobNotFound:
            # A part vanished: a concurrent call may have assembled the upload.
            done = done_place((await self._list_upload(upload)).done, key)
            if done is not None:
                return done
            raise
        await self._mark_done(upload, done_name(key, place), state.parts)
        return place

    def _join(self, upload: str, numbers: Sequence[int], writer: S3Writer) -> int:
        try:
            for number in numbers:
                path = f"{self._prefix}{upload_path(upload)}/{part_name(number)}"
                with s3_errors(path):
                    chunks = iter(obstore.get(self._client.reader, path).stream(CHUNK_BYTES))
                while True:
                    with s3_errors(path):
                        chunk = next(chunks, None)
                    if chunk is None:
                        break
                    writer.write(memoryview(chunk))
            return writer.commit()
        finally:
            writer.abort()

    async def _list_upload(self, upload: str) -> _Upload:
        folder = upload_path(upload)
        state = _Upload({}, "")
        async for path, entry in self._list(folder):
            name = path.removeprefix(f"{folder}/")
            number = part_number(name)
            if number is not None:
                etag = (entry["e_tag"] or "").strip('"')
                state.parts[number] = PartInfo(entry["size"], etag)
            elif name.startswith(DONE):
                state.done = name
        if state.done:
            state.parts.clear()
        return state

    async def _mark_done(self, upload: str, mark: str, parts: Iterable[int]) -> None:
        folder = self._prefix + upload_path(upload)
        with s3_errors():
            await obstore.put_async(self._client.reader, f"{folder}/{mark}", b"done")
        await self._remove(f"{folder}/{part_name(number)}" for number in parts)

    async def drop(self, upload: str) -> None:
        """See `BlobStore.drop`."""
        folder = upload_path(upload)
        paths = [path async for path, _ in self._list(folder)]
        # The mark goes last: without it, a repeated completion would report missing parts.
        paths.sort(key=lambda path: path.startswith(f"{folder}/{DONE}"))
        await self._remove(self._prefix + path for path in paths)

    # -- upkeep -----------------------------------------------------------------------------

    async def sweep(self, older_than_s: float) -> int:
        """See `BlobStore.sweep`."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        swept = await run_in_lane(Lane.TRANSFERS, self._abort_abandoned, before)
        groups: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
        for top in (INCOMING, UPLOADS):
            async for path, entry in self._list(top):
                group = path if top == INCOMING else "/".join(path.split("/")[:2])
                groups[group].append((path, entry["last_modified"]))
        for group_paths in groups.values():
            if max(modified for _, modified in group_paths) < before:
                await self._remove(self._prefix + path for path, _ in group_paths)
                swept += 1
        return swept

    def _abort_abandoned(self, before: datetime) -> int:
        client, bucket = self._client.writer, self._client.bucket
        old: list[dict[str, Any]] = []
        with s3_errors():
            pages = client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=bucket, Prefix=self._prefix):
                old += [u for u in page.get("Uploads", []) if u["Initiated"] < before]
            for upload in old:
                client.abort_multipart_upload(
                    Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        return len(old)

    async def ready(self) -> None:
        """See `BlobStore.ready`."""
        probe = f"{self._prefix}{INCOMING}/ready-{secrets.token_hex(8)}"
        store = self._client.reader
        try:
            with s3_errors(probe):
                await obstore.put_async(store, probe, b"ready")
                read = bytes(await (await obstore.get_async(store, probe)).bytes_async())
                await obstore.delete_async(store, probe)
        except BlobNotFound as error:
            raise Unavailable(reason="the bucket of the object store does not exist") from error
        if read != b"ready":
            raise Unavailable(reason="the object store gave back other bytes than it took")

    def free_bytes(self) -> int | None:
        """Return None: S3 does not report it."""
        return None

    async def close(self) -> None:
        """See `BlobStore.close`."""
        await run_in_lane(Lane.TRANSFERS, self._threads.close)
        self._client.close()


@dataclass(slots=True)
class _Upload:
    parts: dict[int, PartInfo]
    done: str  # the name of the mark, or empty


class S3Writer:
    """Uploads and verifies one blob."""

    def __init__(self, upload: ObjectUpload, verify: Verifier, size: int | None) -> None:
        self._upload = upload
        self._verify = verify
        self._count = ByteCount(size)

    def write(self, chunk: bytes | memoryview) -> None:
        """See `BlobWriter.write`."""
        self._count.add(len(chunk))
        self._verify.update(chunk)
        self._upload.push(chunk)

    def commit(self) -> int:
        """See `BlobWriter.commit`."""
        try:
            self._count.finish()
            self._verify.finish()
            first = self._upload.finish()
            return self._count.seen if first is None else first
        finally:
            self.abort()

    def abort(self) -> None:
        """See `BlobWriter.abort`."""
        self._upload.abort()


class S3PartWriter:
    """Uploads one part as an object of its own, which replaces an earlier one."""

    def __init__(self, upload: ObjectUpload, size: int) -> None:
        self._upload = upload
        self._count = ByteCount(size)

    def write(self, chunk: bytes | memoryview) -> None:
        """See `PartWriter.write`."""
        self._count.add(len(chunk))
        self._upload.push(chunk)

    def commit(self) -> PartInfo:
        """See `PartWriter.commit`."""
        try:
            self._count.finish()
            self._upload.finish()
            return PartInfo(self._count.seen, self._upload.stored_etag())
        finally:
            self.abort()

    def abort(self) -> None:
        """See `PartWriter.abort`."""
        self._upload.abort()


class S3Blob:
    """A blob in S3."""

    path: Path | None = None

    def __init__(self, size: int, client: S3Client, key: str) -> None:
        self.size = size
        self._client = client
        self._key = key

    async def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """See `Blob.chunks`. obstore resumes after a broken connection by itself."""
        left = check_range(start, count, self.size)
        if not left:
            return
        name = self._key.rpartition("/")[2]
        with s3_errors(name):
            response = await obstore.get_async(
                self._client.reader, self._key, options={"range": (start, start + left)}
            )
        stream = response.stream(_STREAM_BYTES)
        while left:
            with s3_errors(name):
                try:
                    batch = memoryview(await anext(stream))
                except StopAsyncIteration:
                    raise Unavailable(reason="the object store stopped in the middle") from None
            for at in range(0, len(batch), CHUNK_BYTES):
                yield bytes(batch[at : at + CHUNK_BYTES])
            left -= len(batch)
