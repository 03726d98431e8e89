"""Objects below the prefix of a store in a bucket, and their remains."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

import obstore

from hubstead.admission import BoundedThreads
from hubstead.blobs.s3_client import S3Client, s3_errors
from hubstead.blobs.s3_upload import ObjectUpload
from hubstead.errors import BlobNotFound

if TYPE_CHECKING:
    from obstore import ObjectMeta


class S3Objects:
    """The objects below ``prefix``. Paths are relative to it, keys have it."""

    def __init__(self, client: S3Client, prefix: str, threads: BoundedThreads) -> None:
        self.client = client
        self.prefix = prefix
        self._threads = threads

    def upload(self, path: str, size: int | None, *, replace: bool) -> ObjectUpload:
        """Return the upload of an object, which is visible once it is finished."""
        whole = self.prefix + path
        return ObjectUpload(self.client, self._threads, whole, size, replace=replace)

    async def remove(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are fine."""
        for key in keys:
            try:
                with s3_errors():
                    await obstore.delete_async(self.client.reader, key)
            except BlobNotFound:  # some servers respond 404
                pass

    async def list(self, folder: str) -> AsyncIterator[tuple[str, ObjectMeta]]:
        """Yield the objects below ``folder`` with their paths relative to the prefix."""
        stream = obstore.list(self.client.reader, self.prefix + folder, chunk_size=1000)
        while True:
            with s3_errors():
                try:
                    batch = await anext(stream)
                except StopAsyncIteration:
                    return
            for entry in batch:
                yield entry["path"].removeprefix(self.prefix), entry
