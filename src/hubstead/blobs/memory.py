"""Blobs in memory, for tests and trials; they end with the process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import PartInfo, StoredBlob
from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey, check_part_number, check_upload
from hubstead.blobs.store_base import (
    CHUNK_BYTES,
    ByteCount,
    PutThroughWriter,
    already_complete,
    already_other,
    check_parts,
    check_range,
)
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobCorrupt, BlobNotFound


@dataclass(slots=True)
class _Upload:
    parts: dict[int, bytes] = field(default_factory=dict)
    touched: float = field(default_factory=time.time)
    done: tuple[BlobKey, StoredKey] | None = None

    def infos(self) -> dict[int, PartInfo]:
        return {number: _info(data) for number, data in self.parts.items()}


class MemoryBlobs(PutThroughWriter):
    """A `BlobStore` in two dictionaries. Their operations are atomic, so it needs no lock."""

    is_shared = False
    files = None
    direct = None

    def __init__(self) -> None:
        self._blobs: dict[StoredKey, tuple[bytes, int]] = {}
        self._uploads: dict[str, _Upload] = {}
        self.parts = MemoryPartUploads(self._uploads, self._write)

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> MemoryWriter:
        """See `BlobStore.writer`."""
        return MemoryWriter(lambda data: self._reveal(key, data, replace), verify, size)

    def _reveal(self, key: StoredKey, data: bytes, replace: bool) -> int:
        if replace:
            self._blobs.pop(key, None)
        first, _ = self._blobs.setdefault(key, (data, time.time_ns() // 1_000_000))
        return len(first)

    async def open(self, key: StoredKey) -> MemoryBlob:
        """See `BlobStore.open`."""
        if key not in self._blobs:
            raise BlobNotFound(name=key.name)
        return MemoryBlob(self._blobs[key][0])

    async def size(self, key: StoredKey) -> int | None:
        """See `BlobStore.size`."""
        return len(self._blobs[key][0]) if key in self._blobs else None

    async def delete(self, key: StoredKey) -> bool:
        """See `BlobStore.delete`."""
        return self._blobs.pop(key, None) is not None

    async def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """See `BlobStore.keys`."""
        for key, (data, modified_ms) in list(self._blobs.items()):
            if key.kind is kind:
                yield StoredBlob(key, len(data), modified_ms)

    async def sweep(self, older_than_s: float) -> int:
        """See `BlobStore.sweep`."""
        before = time.time() - older_than_s
        old = [name for name, upload in self._uploads.items() if upload.touched < before]
        for name in old:
            del self._uploads[name]
        return len(old)

    async def ready(self) -> None:
        """Do nothing: memory is ready."""

    def free_bytes(self) -> int | None:
        """Return None: unknown."""
        return None

    async def close(self) -> None:
        """Do nothing: the blobs live as long as the store."""


Put = Callable[[StoredKey, list[bytes], Verifier, int, bool], int]


class MemoryPartUploads:
    """The `PartUploads` of a store in memory; ``put`` writes and verifies a blob."""

    def __init__(self, uploads: dict[str, _Upload], put: Put) -> None:
        self._uploads = uploads
        self._put = put

    def writer(self, upload: str, number: int, *, offset: int, size: int) -> MemoryPartWriter:
        """See `PartUploads.writer`; the offset follows from the order of the parts."""
        state = self._uploads.setdefault(check_upload(upload), _Upload())
        if state.done:
            raise already_complete(upload)
        return MemoryPartWriter(state, check_part_number(number), size)

    async def received(self, upload: str) -> dict[int, PartInfo]:
        """See `PartUploads.received`."""
        return self._uploads.get(check_upload(upload), _Upload()).infos()

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
        state = self._uploads.get(check_upload(upload), _Upload())
        if state.done:
            if state.done[0] != key:
                raise already_other(upload)
            return state.done[1]
        place = place or key
        check_parts(state.infos(), numbers, size)
        data = b"".join(state.parts[number] for number in numbers)
        try:
            await run_in_lane(Lane.TRANSFERS, self._put, place, [data], verify, size, replace)
        except BlobCorrupt:
            await self.drop(upload)
            raise
        state.done = (key, place)
        state.parts.clear()
        return place

    async def drop(self, upload: str) -> None:
        """See `PartUploads.drop`."""
        self._uploads.pop(check_upload(upload), None)


class MemoryWriter:
    """Collects the bytes of one blob."""

    def __init__(self, reveal: Callable[[bytes], int], verify: Verifier, size: int | None) -> None:
        self._reveal = reveal
        self._verify = verify
        self._count = ByteCount(size)
        self._data = bytearray()

    def write(self, chunk: bytes | memoryview) -> None:
        """See `BlobWriter.write`."""
        self._count.add(len(chunk))
        self._verify.update(chunk)
        self._data += chunk

    def commit(self) -> int:
        """See `BlobWriter.commit`."""
        self._count.finish()
        self._verify.finish()
        return self._reveal(bytes(self._data))

    def abort(self) -> None:
        """See `BlobWriter.abort`."""
        self._data.clear()


class MemoryPartWriter:
    """Collects the bytes of one part."""

    def __init__(self, upload: _Upload, number: int, size: int) -> None:
        self._upload = upload
        self._number = number
        self._count = ByteCount(size)
        self._data = bytearray()

    def write(self, chunk: bytes | memoryview) -> None:
        """See `PartWriter.write`."""
        self._count.add(len(chunk))
        self._data += chunk

    def commit(self) -> PartInfo:
        """See `PartWriter.commit`."""
        self._count.finish()
        self._upload.parts[self._number] = data = bytes(self._data)
        self._upload.touched = time.time()
        return _info(data)

    def abort(self) -> None:
        """See `PartWriter.abort`."""
        self._data.clear()


class MemoryBlob:
    """A blob in memory."""

    path: Path | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """See `Blob.chunks`."""
        end = start + check_range(start, count, self.size)
        for at in range(start, end, CHUNK_BYTES):
            yield self._data[at : min(at + CHUNK_BYTES, end)]


def _info(data: bytes) -> PartInfo:
    return PartInfo(len(data), hashlib.sha256(data).hexdigest())
