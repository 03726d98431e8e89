"""Bytes on their way: from a hub into the folder, and read again to be judged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeAlias

from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob, repos_of_pack
from hubstead.blobs import BlobKind, BlobStore
from hubstead.commits import Storage
from hubstead.errors import BlobCorrupt, BlobNotFound

#: Blobs at work on at the same time: disks and S3 like a few, and two cores hash two at once.
WORKERS = 4
_CHUNK_BYTES = 1 << 20

Take: TypeAlias = Callable[[bytes], object]


class Origin(Protocol):
    """Where bytes come from."""

    async def pour(self, need: RequiredBlob, take: Take) -> None:
        """Give all bytes of a blob to ``take``, in a thread.

        Raises:
            BlobNotFound: they are not there.
            Unavailable: they cannot be read now.
        """
        ...


class StoreOrigin:
    """The folder of a backup, or the store of a hub, where each blob lies at its place."""

    def __init__(self, store: BlobStore, *, at_place: bool = False) -> None:
        self._store = store
        self._at_place = at_place

    async def pour(self, need: RequiredBlob, take: Take) -> None:
        """See ``Origin.pour``."""
        blob = await self._store.open(need.place if self._at_place else need.key)
        if blob.path is not None:
            await asyncio.to_thread(pour_file, blob.path, take)
            return
        async for chunk in blob.chunks():
            await asyncio.to_thread(take, chunk)


class HubOrigin:
    """A whole hub: its packs may be files in folders of git."""

    def __init__(self, stores: Storage, rows: sqlite3.Connection) -> None:
        self._stores = stores
        self._rows = rows
        self._blobs = StoreOrigin(stores.blobs, at_place=True)

    async def pour(self, need: RequiredBlob, take: Take) -> None:
        """See ``Origin.pour``."""
        if need.key.kind is not BlobKind.PACK or self._stores.packs_are_blobs:
            await self._blobs.pour(need, take)
            return
        for repo_id in repos_of_pack(self._rows, need.key.name):
            path = self._stores.git.packs_path(repo_id) / f"pack-{need.key.name}.pack"
            if path.is_file():
                await asyncio.to_thread(pour_file, path, take)
                return
        raise BlobNotFound(name=need.key.name)


def pour_file(path: Path, take: Take) -> None:
    """Give the bytes of a file to ``take``.

    Raises:
        BlobNotFound: there is none, any more.
    """
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise BlobNotFound(name=path.name) from None
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            take(chunk)


async def verify_blob(origin: Origin, need: RequiredBlob) -> str | None:
    """Read a blob and return what is wrong with it, None if nothing is."""
    verifier = need.verifier()
    try:
        await origin.pour(need, verifier.update)
        verifier.finish()
    except BlobNotFound:
        return f"{need.key}: its bytes are missing"
    except BlobCorrupt as error:
        return f"{need.key}: {error.message}"
    return None


async def verify_blobs(
    origin: Origin, wanted: Iterable[RequiredBlob], progress: Progress
) -> list[str]:
    """Read blobs and return what is wrong with them."""
    faults: list[str] = []

    async def one(need: RequiredBlob) -> None:
        fault = await verify_blob(origin, need)
        if fault:
            faults.append(fault)
        progress.add(need.size)

    await for_each(wanted, one)
    return sorted(faults)


async def for_each(
    wanted: Iterable[RequiredBlob], work: Callable[[RequiredBlob], Awaitable[None]]
) -> None:
    """Do ``work`` for each, a few at a time; the first error ends it all."""
    source = iter(wanted)

    async def consume() -> None:
        for need in source:
            await work(need)

    tasks = [asyncio.create_task(consume()) for _ in range(WORKERS)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
