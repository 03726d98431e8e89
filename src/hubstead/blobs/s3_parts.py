"""Multipart uploads in S3: every part of a client is one object; assembling writes the blob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import obstore

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import BlobWriter, PartInfo
from hubstead.blobs.keys import BlobKey, StoredKey
from hubstead.blobs.layout import (
    DONE,
    done_name,
    done_place,
    part_name,
    part_number,
    upload_path,
)
from hubstead.blobs.s3_client import s3_errors
from hubstead.blobs.s3_objects import S3Objects
from hubstead.blobs.s3_upload import ObjectUpload
from hubstead.blobs.store_base import CHUNK_BYTES, ByteCount, already_other, check_parts
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobCorrupt, BlobNotFound


class NewWriter(Protocol):
    """Returns the writer of a blob; see `BlobWrites.writer`."""

    def __call__(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> BlobWriter:
        """Return the writer."""
        ...


class S3PartUploads:
    """The `PartUploads` of a store in S3; ``blob_writer`` writes the blob."""

    def __init__(self, objects: S3Objects, blob_writer: NewWriter) -> None:
        self._objects = objects
        self._blob_writer = blob_writer

    def writer(self, upload: str, number: int, *, offset: int, size: int) -> S3PartWriter:
        """See `PartUploads.writer`; the offset follows from the order of the parts."""
        path = f"{upload_path(upload)}/{part_name(number)}"
        return S3PartWriter(self._objects.upload(path, size, replace=True), size)

    async def received(self, upload: str) -> dict[int, PartInfo]:
        """See `PartUploads.received`."""
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
        """See `PartUploads.assemble`."""
        state = await self._list_upload(upload)
        if state.done:
            done = done_place(state.done, key)
            if done is None:
                raise already_other(upload)
            return done
        place = place or key
        check_parts(state.parts, numbers, size)
        try:
            writer = self._blob_writer(place, verify, size=size, replace=replace)
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

    def _join(self, upload: str, numbers: Sequence[int], writer: BlobWriter) -> int:
        try:
            for number in numbers:
                path = f"{self._objects.prefix}{upload_path(upload)}/{part_name(number)}"
                with s3_errors(path):
                    chunks = iter(
                        obstore.get(self._objects.client.reader, path).stream(CHUNK_BYTES)
                    )
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
        async for path, entry in self._objects.list(folder):
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
        folder = self._objects.prefix + upload_path(upload)
        with s3_errors():
            await obstore.put_async(self._objects.client.reader, f"{folder}/{mark}", b"done")
        await self._objects.remove(f"{folder}/{part_name(number)}" for number in parts)

    async def drop(self, upload: str) -> None:
        """See `PartUploads.drop`."""
        folder = upload_path(upload)
        paths = [path async for path, _ in self._objects.list(folder)]
        # The mark goes last: without it, a repeated completion would report missing parts.
        paths.sort(key=lambda path: path.startswith(f"{folder}/{DONE}"))
        await self._objects.remove(self._objects.prefix + path for path in paths)


@dataclass(slots=True)
class _Upload:
    parts: dict[int, PartInfo]
    done: str  # the name of the mark, or empty


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
