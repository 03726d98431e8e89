"""What every store of blobs promises.

A blob is written once, never changed, and visible only when it is whole, checked and durable.
Rights, and which blobs ought to exist, are the database's business: a store knows bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hubstead.blobs.keys import BlobKey, BlobKind, StoredKey
from hubstead.blobs.verifiers import Verifier


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A part that has been received whole and will survive a crash."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob found by listing."""

    key: StoredKey
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class DirectUploadTarget:
    """How a client sends one object straight to the store.

    It asks ``url`` with ``method`` and exactly ``headers``, plus a ``Content-Length`` that is
    the size announced. The store answers 200, or 412 if the object has been sent already, which
    is as good.
    """

    id: str
    method: str
    url: str
    headers: Mapping[str, str]


class BlobWriter(Protocol):
    """Takes the bytes of one blob. Synchronous: meant for a worker thread, used by one at a time.

    After an error, or when the bytes stop coming, call `abort`. All three methods raise
    `StorageFull` if there is no room and `Unavailable` if the store cannot be reached.
    """

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; they are copied or written before this returns."""
        ...

    def commit(self) -> int:
        """Check the bytes, make them durable, then reveal them; return how many there are.

        If the key exists already, the bytes that came first stay, and this succeeds as well.

        Raises:
            BlobCorrupt: by the verifier, or if there are not as many bytes as announced; nothing
                is left behind then.
        """
        ...

    def abort(self) -> None:
        """Forget the bytes, leaving nothing. Harmless after `commit` and when repeated."""
        ...


class PartWriter(Protocol):
    """Takes the bytes of one part of an upload; otherwise like `BlobWriter`."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        ...

    def commit(self) -> PartInfo:
        """Make the part durable and count it as received.

        Raises:
            BlobCorrupt: if there are not as many bytes as announced; the part is not received.
        """
        ...

    def abort(self) -> None:
        """Forget the part. Harmless after `commit` and when repeated."""
        ...


class Blob(Protocol):
    """Bytes that can be sent."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    @property
    def path(self) -> Path | None:
        """The file that holds exactly these bytes, for sending without copying; None elsewhere."""
        ...

    def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start`` on (to the end if None) in pieces of at most 1 MiB.

        Raises:
            BlobNotFound: if the blob was deleted meanwhile.
            Unavailable: if the store stopped answering; bytes already yielded are right.
            RangeNotSatisfiable: if the range reaches over the end.
        """
        ...


class DirectTransfers(Protocol):
    """Transfers between clients and the store, by signed addresses.

    Every method may raise `Unavailable`, and `adopt` `StorageFull`.
    """

    async def url(
        self,
        key: StoredKey,
        *,
        expires_s: int,
        content_disposition: str | None = None,
        media_type: str | None = None,
        span: tuple[int, int] | None = None,
    ) -> str:
        """Return an address from which anyone can GET the blob.

        Does not check whether the blob exists. The response has the headers
        ``content_disposition`` and ``media_type``. With ``span``, the first and the last byte,
        the address serves these bytes only, and only to ``Range: bytes={first}-{last}``.
        """
        ...

    async def begin_upload(
        self, size: int, *, crc64nvme: int | None = None, expires_s: int
    ) -> DirectUploadTarget | None:
        """Return an address that takes one object of this size until it expires.

        None if the server does not honour the conditions that keep such an object unchanged.
        The object belongs to no repository until `adopt`. Anyone who knows the id can have it
        adopted: the caller binds the id to the user, the repository and the blob it becomes.

        Args:
            size: Its bytes, at least one.
            crc64nvme: Its CRC-64/NVME; a store that checks these refuses other bytes with 400.
            expires_s: The lifetime of the address, in seconds.
        """
        ...

    async def adopt(self, upload_id: str, key: StoredKey, verify: Verifier) -> int:
        """Make a blob of an object that a client sent after `begin_upload`; return its size.

        The object is read once and through, so ``verify`` may keep what it learns; the bytes
        are then copied inside the store. Afterwards, and after ``verify`` refused it, the upload
        is gone; of several calls at the same moment, more than one may get a blob of it.

        Args:
            upload_id: The id of the upload.
            key: The blob it becomes. A name that was never used: an older blob is overwritten.
            verify: Rejects wrong bytes; its errors are passed on.

        Raises:
            BlobNotFound: no object was sent, or it was adopted or refused before.
        """
        ...


class BlobStore(Protocol):
    """Blobs by kind and stored name. Only deleting and sweeping ever take bytes away.

    A store knows stored names only: which blob lies under which, the blob's row says
    (`stored_name_of`).

    Besides the errors named below, every method may raise `Unavailable` (the store does not
    answer, or not sensibly; try again later) and every one that writes `StorageFull`.
    """

    #: Whether every `Blob.path` is a file; otherwise none is.
    gives_paths: bool
    #: Whether other nodes reach the same blobs.
    is_shared: bool

    @property
    def direct(self) -> DirectTransfers | None:
        """Transfers between clients and the store without the hub; None if it has none."""
        ...

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> BlobWriter:
        """Start a blob.

        Args:
            key: Which.
            verify: What judges the bytes.
            size: How many there are, if known: it is checked and helps to refuse early.
            replace: Whether these bytes, once judged, take the place of what may be there, which
                the caller found damaged; else what came first stays.
        """
        ...

    async def put(self, key: StoredKey, data: bytes, verify: Verifier) -> int:
        """Store ``data`` as `BlobWriter` would; return its size."""
        ...

    async def put_file(
        self, key: StoredKey, path: Path, verify: Verifier, *, replace: bool = False
    ) -> int:
        """Store a copy of the file ``path`` as `BlobWriter` would; return its size."""
        ...

    async def open(self, key: StoredKey) -> Blob:
        """Find a blob to send it.

        Raises:
            BlobNotFound: if there is none.
        """
        ...

    async def size(self, key: StoredKey) -> int | None:
        """Return the size in bytes, or None if there is no such blob."""
        ...

    async def delete(self, key: StoredKey) -> bool:
        """Remove a blob; return whether there was one. Stores that cannot tell say True."""
        ...

    def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """Yield what is stored of a kind, in no particular order."""
        ...

    def part_writer(self, upload: str, number: int, *, offset: int, size: int) -> PartWriter:
        """Start part ``number`` (from 1), which goes to byte ``offset`` of the whole.

        Parts may come in any order, at the same time, and again: the last one received counts.

        Raises:
            InvalidInput: if the upload is complete, or the id or number is none.
            ConcurrentChange: if the upload is being assembled.
        """
        ...

    async def parts(self, upload: str) -> dict[int, PartInfo]:
        """Return the parts received so far; none for an unknown or complete upload."""
        ...

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
        """Make a blob of the parts ``numbers``, in that order; return where it lies.

        The bytes are checked as a whole before the blob is visible. Repeating it after success
        succeeds, and returns where the first success put the blob.

        Args:
            upload: The id of the upload.
            numbers: Its parts.
            key: The blob that they are together.
            verify: What judges the bytes.
            size: How many there are.
            replace: See `writer`.
            place: Where to store them; under the blob's own name if None.

        Raises:
            InvalidInput: if a part is missing, or the parts do not add up to ``size`` bytes.
            BlobCorrupt: by the verifier; the parts are dropped then, to be sent afresh.
            ConcurrentChange: if parts of the upload are still being written.
        """
        ...

    async def drop(self, upload: str) -> None:
        """Forget an upload and its parts; blobs made of it stay. Unknown ids are fine."""
        ...

    async def sweep(self, older_than_s: float) -> int:
        """Remove what broken writes and forgotten uploads left; return how many things.

        ``older_than_s`` must be longer than any upload is good for.
        """
        ...

    async def ready(self) -> None:
        """Write, read and remove a few bytes.

        Raises:
            StorageFull: if there is no room.
            Unavailable: if that does not work.
        """
        ...

    def free_bytes(self) -> int | None:
        """Return the room left, or None where nobody knows."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
