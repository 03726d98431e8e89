"""The interface of every blob store.

A store writes a blob once, never changes it, and shows it only when it is whole, verified and
durable. A store knows bytes; the database knows rights and which blobs must exist.
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
    """A part that the store received whole and durably."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob in the listing of a store."""

    key: StoredKey
    size: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class DirectUploadTarget:
    """The request by which a client uploads one object directly to the store.

    The client requests ``url`` with ``method`` and exactly ``headers``, plus a ``Content-Length``
    of the announced size. The store responds 200, or 412 if it has the object already, which is
    a success, too.
    """

    id: str
    method: str
    url: str
    headers: Mapping[str, str]


class BlobWriter(Protocol):
    """Writes one blob. Synchronous, for one worker thread at a time.

    After an error, or when the input ends early, call `abort`. All three methods raise
    `StorageFull` if there is no room and `Unavailable` if the store cannot be reached.
    """

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; they are copied or written before this returns."""
        ...

    def commit(self) -> int:
        """Verify the bytes, make them durable, then show the blob; return its size.

        If the key exists already, its bytes stay, and this succeeds, too.

        Raises:
            BlobCorrupt: by the verifier, or if the size is not the announced one; the store
                keeps nothing then.
        """
        ...

    def abort(self) -> None:
        """Discard the bytes. Harmless after `commit` and when repeated."""
        ...


class PartWriter(Protocol):
    """Writes one part of a multipart upload; otherwise like `BlobWriter`."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        ...

    def commit(self) -> PartInfo:
        """Make the part durable and count it as received.

        Raises:
            BlobCorrupt: if the size is not the announced one; the part is not received.
        """
        ...

    def abort(self) -> None:
        """Discard the part. Harmless after `commit` and when repeated."""
        ...


class Blob(Protocol):
    """The bytes of a stored blob, to read or send."""

    @property
    def size(self) -> int:
        """The size in bytes."""
        ...

    @property
    def path(self) -> Path | None:
        """The file that holds exactly these bytes, for sending without copying; None elsewhere."""
        ...

    def chunks(self, start: int = 0, count: int | None = None) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start`` on (to the end if None) in pieces of at most 1 MiB.

        Raises:
            BlobNotFound: if the blob was deleted meanwhile.
            Unavailable: if the store stops responding; the bytes yielded so far are right.
            RangeNotSatisfiable: if the range exceeds the blob.
        """
        ...


class DirectTransfers(Protocol):
    """Direct transfers between clients and the store, by signed URLs.

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
        """Return a signed URL from which anyone can GET the blob.

        This does not check whether the blob exists. The response has the headers
        ``content_disposition`` and ``media_type``. With ``span``, the first and the last byte,
        the URL serves these bytes only, and only to ``Range: bytes={first}-{last}``.
        """
        ...

    async def begin_upload(
        self, size: int, *, crc64nvme: int | None = None, expires_s: int
    ) -> DirectUploadTarget | None:
        """Return a signed URL that accepts one object of this size until it expires.

        None if the server does not honour the conditions that prevent a later change of the
        object. The object belongs to no repository until `adopt`. The id alone permits `adopt`:
        the caller binds it to the user, the repository and the blob.

        Args:
            size: The size in bytes, at least one.
            crc64nvme: The CRC-64/NVME; a store that checks it rejects other bytes with 400.
            expires_s: The lifetime of the URL, in seconds.
        """
        ...

    async def adopt(self, upload_id: str, key: StoredKey, verify: Verifier) -> int:
        """Turn an object that a client sent after `begin_upload` into a blob; return its size.

        The store passes the whole object through ``verify`` once, then copies it on the server.
        Afterwards, and after ``verify`` rejects the object, the upload is gone. More than one of
        several concurrent calls may succeed.

        Args:
            upload_id: The id of the upload.
            key: The blob it becomes: a name never used before, since an older blob is overwritten.
            verify: Rejects wrong bytes; its errors propagate.

        Raises:
            BlobNotFound: no object was sent, or it was adopted or rejected before.
        """
        ...


class PartUploads(Protocol):
    """Multipart uploads of clients: parts in any order, assembled into one blob.

    Every method may raise `Unavailable`, and every method that writes `StorageFull`.
    """

    def writer(self, upload: str, number: int, *, offset: int, size: int) -> PartWriter:
        """Return the writer of part ``number`` (from 1), which starts at byte ``offset``.

        Clients may send parts in any order, concurrently, and again: the last one counts.

        Raises:
            InvalidInput: if the upload is complete, or the id or number is invalid.
            ConcurrentChange: if the upload is being assembled.
        """
        ...

    async def received(self, upload: str) -> dict[int, PartInfo]:
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
        """Assemble the parts ``numbers``, in that order, into a blob; return its stored name.

        The store verifies all bytes before the blob is visible. A repeated call after success
        succeeds, too, and returns the stored name of the first one.

        Args:
            upload: The id of the upload.
            numbers: Its parts.
            key: The blob.
            verify: Rejects wrong bytes.
            size: The size of the blob in bytes.
            replace: See `BlobWrites.writer`.
            place: The stored name; the blob's own name if None.

        Raises:
            InvalidInput: if a part is missing, or the parts do not add up to ``size`` bytes.
            BlobCorrupt: by the verifier; the store drops the parts, the client sends them again.
            ConcurrentChange: if parts of the upload are still being written.
        """
        ...

    async def drop(self, upload: str) -> None:
        """Delete an upload and its parts; its blob stays. An unknown id is fine."""
        ...


class BlobFiles(Protocol):
    """Blobs as files of this machine."""

    async def path(self, key: StoredKey) -> Path:
        """Return the file that holds exactly the bytes of a blob; no caller may change it.

        Raises:
            BlobNotFound: if there is no such blob.
        """
        ...


class BlobReads(Protocol):
    """The blobs in a store."""

    async def open(self, key: StoredKey) -> Blob:
        """Return a blob to read or send.

        Raises:
            BlobNotFound: if there is none.
        """
        ...

    async def size(self, key: StoredKey) -> int | None:
        """Return the size in bytes, or None if there is no such blob."""
        ...

    def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """Yield the stored blobs of a kind, in no particular order."""
        ...


class BlobWrites(Protocol):
    """New blobs, and their deletion."""

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> BlobWriter:
        """Return the writer of a blob.

        Args:
            key: The stored name.
            verify: Rejects wrong bytes.
            size: The announced size in bytes, if known; the writer checks it.
            replace: Whether the verified bytes replace existing bytes, which the caller knows to
                be damaged; otherwise existing bytes stay.
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

    async def delete(self, key: StoredKey) -> bool:
        """Delete a blob; return whether there was one. A store that cannot know returns True."""
        ...


class StoreUpkeep(Protocol):
    """The operation of a store."""

    async def sweep(self, older_than_s: float) -> int:
        """Remove the remains of failed writes and expired uploads; return how many there were.

        ``older_than_s`` must be longer than the lifetime of any upload.
        """
        ...

    async def ready(self) -> None:
        """Write, read and remove a few bytes.

        Raises:
            StorageFull: if there is no room.
            Unavailable: if that fails.
        """
        ...

    def free_bytes(self) -> int | None:
        """Return the free space in bytes, or None if the store does not know it."""
        ...

    async def close(self) -> None:
        """Close connections and stop threads."""
        ...


class BlobStore(BlobReads, BlobWrites, StoreUpkeep, Protocol):
    """Blobs by kind and stored name. Only `delete`, `PartUploads.drop` and `sweep` remove bytes.

    A store knows stored names only; the blob's row has the stored name of a blob
    (`stored_name_of`).

    Besides the errors listed with them, every method may raise `Unavailable` (the store fails or
    does not respond; try again later), and every method that writes `StorageFull`.
    """

    #: Whether other nodes reach the same blobs.
    is_shared: bool

    @property
    def parts(self) -> PartUploads:
        """Multipart uploads."""
        ...

    @property
    def files(self) -> BlobFiles | None:
        """The blobs as files; None if the store has no files on this machine."""
        ...

    @property
    def direct(self) -> DirectTransfers | None:
        """Direct transfers between clients and the store; None if it supports none."""
        ...
