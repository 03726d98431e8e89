"""Reads blobs of a hub or a backup, to copy or verify them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeAlias

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob, repos_of_pack
from hubstead.blobs import BlobKind, BlobStore
from hubstead.commits import Storage
from hubstead.errors import BlobCorrupt, BlobNotFound

#: Blobs in flight: disks and S3 need several for full throughput, and two cores hash two.
WORKERS = 4
_CHUNK_BYTES = 1 << 20

Sink: TypeAlias = Callable[[bytes], object]


class Origin(Protocol):
    """A source of blobs."""

    async def pour(self, blob: RequiredBlob, sink: Sink) -> None:
        """Pass all bytes of a blob to ``sink``, in a thread.

        Raises:
            BlobNotFound: the source has no such bytes.
            Unavailable: the bytes cannot be read now.
        """
        ...


class StoreOrigin:
    """The store of a backup, or of a hub (``at_place``: under the keys that the hub assigned)."""

    def __init__(self, store: BlobStore, *, at_place: bool = False) -> None:
        self._store = store
        self._at_place = at_place

    async def pour(self, blob: RequiredBlob, sink: Sink) -> None:
        """See ``Origin.pour``."""
        content = await self._store.open(blob.place if self._at_place else blob.key)
        if content.path is not None:
            await run_in_lane(Lane.BACKGROUND, pour_file, content.path, sink)
            return
        async for chunk in content.chunks():
            await run_in_lane(Lane.BACKGROUND, sink, chunk)


class HubOrigin:
    """The bytes of a hub: its packs may be files in the folders of git."""

    def __init__(self, stores: Storage, rows: sqlite3.Connection) -> None:
        self._stores = stores
        self._rows = rows
        self._blobs = StoreOrigin(stores.blobs, at_place=True)

    async def pour(self, blob: RequiredBlob, sink: Sink) -> None:
        """See ``Origin.pour``."""
        if blob.key.kind is not BlobKind.PACK or self._stores.packs_are_blobs:
            await self._blobs.pour(blob, sink)
            return
        for repo_id in repos_of_pack(self._rows, blob.key.name):
            path = self._stores.git.packs_path(repo_id) / f"pack-{blob.key.name}.pack"
            if path.is_file():
                await run_in_lane(Lane.BACKGROUND, pour_file, path, sink)
                return
        raise BlobNotFound(name=blob.key.name)


def pour_file(path: Path, sink: Sink) -> None:
    """Pass the bytes of a file to ``sink``.

    Raises:
        BlobNotFound: the file does not exist.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise BlobNotFound(name=path.name) from None
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            sink(chunk)


async def verify_blob(origin: Origin, blob: RequiredBlob) -> str | None:
    """Read a blob; return a description of its fault, or None."""
    verifier = blob.verifier()
    try:
        await origin.pour(blob, verifier.update)
        verifier.finish()
    except BlobNotFound:
        return f"{blob.key}: its bytes are missing"
    except BlobCorrupt as error:
        return f"{blob.key}: {error.message}"
    return None


async def verify_blobs(
    origin: Origin, blobs: Iterable[RequiredBlob], progress: Progress
) -> list[str]:
    """Read blobs; return descriptions of their faults, sorted."""
    faults: list[str] = []

    async def verify(blob: RequiredBlob) -> None:
        fault = await verify_blob(origin, blob)
        if fault:
            faults.append(fault)
        progress.add(blob.size)

    await for_each(blobs, verify)
    return sorted(faults)


async def for_each(
    blobs: Iterable[RequiredBlob], work: Callable[[RequiredBlob], Awaitable[None]]
) -> None:
    """Do ``work`` for all blobs, ``WORKERS`` at a time; the first error cancels the others."""
    source = iter(blobs)

    async def consume() -> None:
        for blob in source:
            await work(blob)

    tasks = [asyncio.create_task(consume()) for _ in range(WORKERS)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
