"""Copies the blobs that a backup's folder lacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.manifest import Amount
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import RequiredBlob
from hubstead.backup.transfers import Origin, for_each
from hubstead.blobs import BlobStore
from hubstead.errors import BlobCorrupt, BlobNotFound, Unavailable


@dataclass(frozen=True)
class Patience:
    """How long a copy goes on while its source fails.

    Attributes:
        seconds: A copy returns to failed objects until this long after the last success.
        pause_s: The pause before each return, in seconds.
        clock: The time in seconds.
        sleep: Waits for seconds.
    """

    seconds: float = 300.0
    pause_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass
class CopyResult:
    """The result of one round of copying."""

    new: Amount = field(default_factory=Amount)
    missing: list[str] = field(default_factory=list)  # blobs whose bytes the hub lacks
    damaged: list[str] = field(default_factory=list)  # blobs whose bytes do not match
    unread: dict[RequiredBlob, str] = field(default_factory=dict)  # the source failed, and why

    @property
    def lacking(self) -> tuple[str, ...]:
        """The blobs that the folder lacks, with the reason, sorted."""
        unread = sorted(f"{blob.key}: {reason}" for blob, reason in self.unread.items())
        return (*sorted(self.missing), *sorted(self.damaged), *unread)


async def copy_missing(
    origin: Origin,
    store: BlobStore,
    wanted: Iterable[RequiredBlob],
    progress: Progress,
    patience: Patience,
) -> CopyResult:
    """Copy the blobs that ``store`` lacks or has in another size.

    An object that the source fails to send does not stop the others; the copy returns to it.

    Raises:
        StorageFull: the folder's disk is full. Copied blobs stay.
        Unavailable: the source failed for every object, for as long as the patience lasts.
    """
    result = CopyResult()
    last_success = patience.clock()

    async def try_one(blob: RequiredBlob) -> None:
        nonlocal last_success
        try:
            await copy_one(blob)
        except Unavailable as error:
            result.unread[blob] = error.message
            if patience.clock() - last_success > patience.seconds:
                raise
        else:
            result.unread.pop(blob, None)
            last_success = patience.clock()

    async def copy_one(blob: RequiredBlob) -> None:
        stored_size = await store.size(blob.key)
        if stored_size != blob.size:
            if stored_size is not None:
                await store.delete(blob.key)
            await _copy(origin, store, blob, result)
        progress.add(blob.size)

    await for_each(wanted, try_one)
    while result.unread and patience.clock() - last_success <= patience.seconds:
        await patience.sleep(patience.pause_s)
        with suppress(Unavailable):  # the list names what is left
            await for_each(list(result.unread), try_one)
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
