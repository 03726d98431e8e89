"""Uploads of one blob to one repository: written, verified, committed, registered, in this order.

The rows come last, so a row never promises bytes that are not durable. Bytes without a row, left
by a crash in between, are orphans (`orphans.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hubstead.admission import Lane, run_in_lane, run_to_the_end
from hubstead.blobs.interface import BlobStore, PartInfo
from hubstead.blobs.keys import BlobKey, StoredKey
from hubstead.blobs.multipart import MultipartUpload
from hubstead.blobs.registration import register_upload
from hubstead.blobs.stored_names import new_stored_name
from hubstead.blobs.verifiers import Verifier
from hubstead.db import Database
from hubstead.settings import BlobSettings

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Write = Callable[[bytes | memoryview], None]


class _Writer(Protocol[T_co]):
    def write(self, chunk: bytes | memoryview) -> None: ...
    def commit(self) -> T_co: ...
    def abort(self) -> None: ...


@dataclass(slots=True)
class _Stream(Generic[T]):
    """A writer that takes a stream; ``result`` is set once it is committed."""

    write: Write
    result: T | None = None


@asynccontextmanager
async def _stream(start: Callable[[], _Writer[T]]) -> AsyncIterator[_Stream[T]]:
    """Start a writer in a thread; commit it at the end of the block, abort it on any error."""
    writer = await run_in_lane(Lane.WRITES, start)
    stream = _Stream[T](writer.write)
    try:
        yield stream
        stream.result = await run_to_the_end(Lane.WRITES, writer.commit)
    finally:
        await run_to_the_end(Lane.BACKGROUND, writer.abort)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """The upload of one blob to one repository.

    Args:
        repo_pk: The repository; the caller has checked the right to write it.
        key: The blob.
        size: The size in bytes.
        verify: Rejects wrong bytes.
        pusher_pk: The user who uploads it.
        replace: Whether the stored bytes are damaged, so that the uploaded ones replace them.
    """

    repo_pk: int
    key: BlobKey
    size: int
    verify: Verifier
    pusher_pk: int | None
    replace: bool = False


class UploadReceiver:
    """Stores the bytes of one upload. Call exactly one of its methods, once.

    All of them raise `BlobCorrupt` if the bytes are not those of the blob, `StorageFull`, and
    `Unavailable`; nothing is stored then.
    """

    def __init__(self, store: BlobStore, upload: NewUpload, place: StoredKey) -> None:
        #: The stored name, after the store has the bytes.
        self.stored: StoredKey | None = None
        #: The multipart upload of the bytes, if any.
        self.multipart_id: str | None = None
        self._store = store
        self._upload = upload
        self._place = place

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Write]:
        """Yield a function that takes the bytes in order, in a worker thread, until the block ends.

        The end of the block verifies and commits the bytes.
        """
        upload = self._upload

        def start() -> _Writer[int]:
            return self._store.writer(
                self._place, upload.verify, size=upload.size, replace=upload.replace
            )

        async with _stream(start) as stream:
            yield stream.write
        self.stored = self._place

    async def put_file(self, path: Path) -> None:
        """Store a copy of a file."""
        upload = self._upload
        await self._store.put_file(self._place, path, upload.verify, replace=upload.replace)
        self.stored = self._place

    async def assemble(self, multipart_id: str, numbers: Sequence[int]) -> None:
        """Store the parts ``numbers`` of a multipart upload, in this order; repeatable.

        Raises:
            InvalidInput: a part is missing, or the parts do not add up to the size.
            ConcurrentChange: a part is still being written.
        """
        upload = self._upload
        self.stored = await self._store.parts.assemble(
            multipart_id,
            numbers,
            upload.key,
            upload.verify,
            size=upload.size,
            replace=upload.replace,
            place=self._place,
        )
        self.multipart_id = multipart_id


@asynccontextmanager
async def receive_upload(
    db: Database, store: BlobStore, settings: BlobSettings, upload: NewUpload
) -> AsyncIterator[UploadReceiver]:
    """Receive one blob into a repository; the end of the block links and holds it.

    The hold lasts ``hold_seconds``.

    Raises:
        Unavailable: a blob of this name is being deleted, or is damaged; upload it again.
        Conflict: the repository is gone.
    """
    place = await new_stored_name(db, upload.key, settings)
    receiver = UploadReceiver(store, upload, place)
    yield receiver
    assert receiver.stored is not None, "the block stored no bytes"
    await register_upload(
        db,
        store,
        upload.repo_pk,
        upload.key,
        upload.size,
        pusher_pk=upload.pusher_pk,
        hold_ms=int(settings.hold_seconds * 1000),
        place=receiver.stored,
        upload_id=receiver.multipart_id,
        replaced=upload.replace,
    )


class PartReceiver:
    """Takes the bytes of one part; ``info`` is set at the end of the block."""

    info: PartInfo

    def __init__(self, write: Write) -> None:
        self.write = write


@asynccontextmanager
async def receive_part(
    store: BlobStore, upload: MultipartUpload, number: int
) -> AsyncIterator[PartReceiver]:
    """Receive part ``number`` (from 1) of a multipart upload: durable at the end of the block.

    Raises:
        BlobCorrupt: the size of the part is not the announced one.
        InvalidInput: the upload is complete.
        ConcurrentChange: the upload is being assembled.
    """

    def start() -> _Writer[PartInfo]:
        return store.parts.writer(
            upload.id, number, offset=upload.offset_of(number), size=upload.size_of(number)
        )

    async with _stream(start) as stream:
        part = PartReceiver(stream.write)
        yield part
    assert stream.result is not None, "a committed part has a result"
    part.info = stream.result
