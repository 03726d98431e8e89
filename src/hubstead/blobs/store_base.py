"""Shared code of the stores: `put` through a writer, checks of sizes, ranges and parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs.interface import BlobWriter, PartInfo
from hubstead.blobs.keys import StoredKey
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobCorrupt, InvalidInput, RangeNotSatisfiable

#: The maximum size of a chunk that stores read and send.
CHUNK_BYTES = 1 << 20


class PutThroughWriter(ABC):
    """A store whose `put` and `put_file` feed its writer in a thread."""

    @abstractmethod
    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> BlobWriter:
        """See `BlobStore.writer`."""

    async def put(self, key: StoredKey, data: bytes, verify: Verifier) -> int:
        """See `BlobStore.put`."""
        return await run_in_lane(Lane.TRANSFERS, self._write, key, [data], verify, len(data))

    async def put_file(
        self, key: StoredKey, path: Path, verify: Verifier, *, replace: bool = False
    ) -> int:
        """See `BlobStore.put_file`."""
        return await run_in_lane(
            Lane.TRANSFERS, self._write, key, read_file(path), verify, None, replace
        )

    def _write(
        self,
        key: StoredKey,
        chunks: Iterable[bytes],
        verify: Verifier,
        size: int | None,
        replace: bool = False,
    ) -> int:
        writer = self.writer(key, verify, size=size, replace=replace)
        try:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()
        finally:
            writer.abort()


def read_file(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in chunks."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


class ByteCount:
    """Counts bytes and compares them with the announced number; None accepts any number."""

    def __init__(self, announced: int | None) -> None:
        self.announced = announced
        self.seen = 0

    def add(self, count: int) -> None:
        """Count further bytes.

        Raises:
            BlobCorrupt: as soon as there are more than announced.
        """
        self.seen += count
        if self.announced is not None and self.seen > self.announced:
            raise BlobCorrupt(expected=f"{self.announced} bytes", got="more")

    def finish(self) -> None:
        """Check the total.

        Raises:
            BlobCorrupt: if there are fewer than announced.
        """
        if self.announced is not None and self.seen != self.announced:
            raise BlobCorrupt(expected=f"{self.announced} bytes", got=f"{self.seen} bytes")


def check_range(start: int, count: int | None, size: int) -> int:
    """Return the length of a range of a blob, in bytes.

    Raises:
        RangeNotSatisfiable: if the range exceeds the blob.
    """
    length = size - start if count is None else count
    if start < 0 or length < 0 or start + length > size:
        raise RangeNotSatisfiable(size=size)
    return length


def check_parts(parts: Mapping[int, PartInfo], numbers: Sequence[int], size: int) -> None:
    """Check that the store received the parts ``numbers`` and that their sizes add up.

    Raises:
        InvalidInput: if not.
    """
    for number in numbers:
        if number not in parts:
            raise InvalidInput(reason=f"part {number} has not been received")
    if len(set(numbers)) != len(numbers):
        raise InvalidInput(reason="a part is named twice")
    total = sum(parts[number].size for number in numbers)
    if total != size:
        raise InvalidInput(reason=f"the parts have {total} bytes together, not {size}")


def already_other(upload: str) -> InvalidInput:
    """Return the error for an upload that became another blob than the requested one."""
    return InvalidInput(reason=f"the upload {upload} has been completed as another object")


def already_complete(upload: str) -> InvalidInput:
    """Return the error for a part that arrives after the completion of its upload."""
    return InvalidInput(reason=f"the upload {upload} is complete: it takes no more parts")
