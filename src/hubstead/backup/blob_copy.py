"""Copying into the folder what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hubstead.backup.manifest import Amount
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob
from hubstead.backup.transfers import Origin, for_each
from hubstead.blobs import BlobStore
from hubstead.errors import BlobCorrupt, BlobNotFound


@dataclass
class CopyResult:
    """What one round of copying did."""

    new: Amount = field(default_factory=Amount)
    missing: list[str] = field(default_factory=list)  # blobs without bytes
    damaged: list[str] = field(default_factory=list)  # blobs with other bytes

    @property
    def lacking(self) -> tuple[str, ...]:
        """The blobs that the folder has not, each with the reason."""
        return (*sorted(self.missing), *sorted(self.damaged))


async def copy_missing(
    origin: Origin, store: BlobStore, wanted: Iterable[RequiredBlob], progress: Progress
) -> CopyResult:
    """Copy to ``store`` those blobs that it has not, or not in their size.

    Raises:
        StorageFull: the folder's disk is full. What was copied stays.
        Unavailable: the hub's bytes cannot be read now.
    """
    done = CopyResult()

    async def one(need: RequiredBlob) -> None:
        found = await store.size(need.key)
        if found != need.size:
            if found is not None:
                await store.delete(need.key)
            await _copy(origin, store, need, done)
        progress.add(need.size)

    await for_each(wanted, one)
    return done


async def _copy(origin: Origin, store: BlobStore, need: RequiredBlob, done: CopyResult) -> None:
    writer = store.writer(need.key, need.verifier(), size=need.size)
    try:
        await origin.pour(need, writer.write)
        await asyncio.to_thread(writer.commit)
    except BlobNotFound:
        done.missing.append(f"{need.key}: its bytes are missing")
    except BlobCorrupt as error:
        done.damaged.append(f"{need.key}: {error.message}")
    else:
        done.new += Amount(1, need.size)
    finally:
        await asyncio.to_thread(writer.abort)
