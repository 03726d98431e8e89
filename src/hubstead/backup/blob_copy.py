"""Copies the blobs that a backup's folder lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.manifest import Amount
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob
from hubstead.backup.transfers import Origin, for_each
from hubstead.blobs import BlobStore
from hubstead.errors import BlobCorrupt, BlobNotFound


@dataclass
class CopyResult:
    """The result of one round of copying."""

    new: Amount = field(default_factory=Amount)
    missing: list[str] = field(default_factory=list)  # blobs whose bytes the hub lacks
    damaged: list[str] = field(default_factory=list)  # blobs whose bytes do not match

    @property
    def lacking(self) -> tuple[str, ...]:
        """The blobs that the folder lacks, with the reason, sorted."""
        return (*sorted(self.missing), *sorted(self.damaged))


async def copy_missing(
    origin: Origin, store: BlobStore, wanted: Iterable[RequiredBlob], progress: Progress
) -> CopyResult:
    """Copy the blobs that ``store`` lacks or has in another size.

    Raises:
        StorageFull: the folder's disk is full. Copied blobs stay.
        Unavailable: the hub's bytes cannot be read now.
    """
    result = CopyResult()

    async def copy_one(blob: RequiredBlob) -> None:
        stored_size = await store.size(blob.key)
        if stored_size != blob.size:
            if stored_size is not None:
                await store.delete(blob.key)
            await _copy(origin, store, blob, result)
        progress.add(blob.size)

    await for_each(wanted, copy_one)
    return result


async def _copy(origin: Origin, store: BlobStore, blob: RequiredBlob, result: CopyResult) -> None:
    writer = store.writer(blob.key, blob.verifier(), size=blob.size)
    try:
        await origin.pour(blob, writer.write)
        await run_in_lane(Lane.BACKGROUND, writer.commit)
    except BlobNotFound:
        result.missing.append(f"{blob.key}: its bytes are missing")
    except BlobCorrupt as error:
        result.damaged.append(f"{blob.key}: {error.message}")
    else:
        result.new += Amount(1, blob.size)
    finally:
        await run_in_lane(Lane.BACKGROUND, writer.abort)
