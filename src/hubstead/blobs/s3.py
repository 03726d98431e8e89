"""Blobs as objects in a bucket of S3 or a compatible server.

The store creates a blob under its final key, by one conditional request or by an S3 multipart
upload that it completes only after the verification. A multipart upload of a client is one object
per part; assembling reads the parts in order and writes the blob.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore

from hubstead.admission import BoundedThreads, Lane, run_in_lane
from hubstead.blobs.interface import StoredBlob
from hubstead.blobs.keys import BlobKind, StoredKey
from hubstead.blobs.layout import (
    INCOMING,
    UPLOADS,
    blob_key,
    blob_path,
)
from hubstead.blobs.s3_client import S3Client, s3_errors
from hubstead.blobs.s3_direct import S3DirectTransfers
from hubstead.blobs.s3_objects import S3Objects
from hubstead.blobs.s3_options import S3Options
from hubstead.blobs.s3_parts import S3PartUploads
from hubstead.blobs.s3_upload import ObjectUpload
from hubstead.blobs.store_base import (
    CHUNK_BYTES,
    ByteCount,
    PutThroughWriter,
    check_range,
)
from hubstead.blobs.verifiers import Verifier
from hubstead.errors import BlobNotFound, InvalidInput, Unavailable

if TYPE_CHECKING:
    pass

_PREFIX = re.compile(
    r"(?!\.{1,2}(/|$))[A-Za-z0-9_.=-]{1,200}(/(?!\.{1,2}(/|$))[A-Za-z0-9_.=-]{1,200})*"
)
_STREAM_BYTES = 256 << 10


class S3Blobs(PutThroughWriter):
    """A `BlobStore` below ``prefix`` in ``bucket``, which must exist.

    Raises:
        InvalidInput: if the prefix has characters that some servers change.
    """

    is_shared = True
    files = None

    def __init__(self, bucket: str, prefix: str = "", options: S3Options | None = None) -> None:
        if prefix and not _PREFIX.fullmatch(prefix):
            raise InvalidInput(reason=f"not a prefix for blobs in a bucket: {prefix!r}")
        self._prefix = f"{prefix}/" if prefix else ""
        options = options or S3Options()
        self._client = S3Client(bucket, options)
        self.direct = S3DirectTransfers(self._client, self._prefix) if options.direct else None
        self._threads = BoundedThreads(8, "s3-part")
        self._objects = S3Objects(self._client, self._prefix, self._threads)
        self.parts = S3PartUploads(self._objects, self.writer)

    def writer(
        self, key: StoredKey, verify: Verifier, *, size: int | None = None, replace: bool = False
    ) -> S3Writer:
        """See `BlobStore.writer`."""
        return S3Writer(self._objects.upload(blob_path(key), size, replace=replace), verify, size)

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
        await self._objects.remove([self._prefix + blob_path(key)] if existed else [])
        return existed

    async def keys(self, kind: BlobKind) -> AsyncIterator[StoredBlob]:
        """See `BlobStore.keys`."""
        async for path, entry in self._objects.list(kind):
            if key := blob_key(kind, path):
                modified_ms = int(entry["last_modified"].timestamp() * 1000)
                yield StoredBlob(key, entry["size"], modified_ms)

    # -- upkeep -----------------------------------------------------------------------------

    async def sweep(self, older_than_s: float) -> int:
        """See `BlobStore.sweep`."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        swept = await run_in_lane(Lane.TRANSFERS, self._abort_abandoned, before)
        groups: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
        for top in (INCOMING, UPLOADS):
            async for path, entry in self._objects.list(top):
                group = path if top == INCOMING else "/".join(path.split("/")[:2])
                groups[group].append((path, entry["last_modified"]))
        for group_paths in groups.values():
            if max(modified for _, modified in group_paths) < before:
                await self._objects.remove(self._prefix + path for path, _ in group_paths)
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
