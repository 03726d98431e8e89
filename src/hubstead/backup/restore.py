"""Restores a hub from a snapshot: first the bytes, then the rows that reference them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from hubstead.admission import Lane, run_in_lane
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot, open_private, open_rows
from hubstead.backup.load import awaits_restore, load_rows, prepare_rows
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.required_blobs import (
    RequiredBlob,
    repos_of_pack,
    required_amounts,
    required_blobs,
)
from hubstead.backup.transfers import for_each
from hubstead.blobs import BlobKind, LocalBlobs
from hubstead.commits import Storage
from hubstead.db import RESTORE_FOLDER, SNAPSHOT_MARK, mark_restore, marked_restore, unmark_restore
from hubstead.errors import BlobCorrupt, InvalidInput
from hubstead.files import make_folder, sync_folder


async def restore_snapshot(
    stores: Storage, folder: BackupFolder, snapshot: Snapshot, progress: Progress
) -> Manifest:
    """Restore a snapshot into an empty hub of either shape.

    The caller has locked the data folder, and the backup's folder against writers. The copy
    compares all bytes with their digests. The rows come last, in one transaction; no other
    process opens the hub until the mark of the restore is removed after that. A run after a
    crash, from any node, continues the restore.

    Raises:
        InvalidInput: the hub is not empty, a restore of another snapshot into it is incomplete,
            or the snapshot's schema is newer than this program.
        BackupFault: the backup is damaged or incomplete.
        StorageFull: the disk or the store is full. Copied bytes stay for the next run.
        Unavailable: the database or the store does not answer.
    """
    place = stores.settings.data.absolute() / RESTORE_FOLDER
    manifest = snapshot.read()
    mark = await marked_restore(stores.db)
    if mark is not None and mark.snapshot != snapshot.id:
        raise InvalidInput(
            reason=f"a restore of the snapshot {mark.snapshot} into this hub is not complete:"
            f" go on with --snapshot {mark.snapshot}, or empty the hub first"
        )
    if mark is None:
        await _check_empty(stores, place, snapshot)
    if mark is None or mark.loaded_ms is None:
        async with _marked(stores, snapshot, fresh=mark is None) as begin:
            await _fill(stores, folder, snapshot, progress, begin)
    await run_in_lane(Lane.BACKGROUND, _remove, place)
    await unmark_restore(stores.db)
    return manifest


async def _fill(
    stores: Storage,
    folder: BackupFolder,
    snapshot: Snapshot,
    progress: Progress,
    begin: Callable[[], None],
) -> None:
    progress.begin("preparing the database")
    rows = stores.settings.data.absolute() / RESTORE_FOLDER / "rows.sqlite"
    await prepare_rows(snapshot, rows)
    with open_rows(rows) as rows_db:
        blobs = _BlobRestore(stores, folder.blobs(), rows_db, progress)
        await blobs.check(snapshot.read())
        await run_in_lane(Lane.BACKGROUND, begin)
        await blobs.restore()
    progress.begin("filling the database")
    await load_rows(rows, stores.settings.database_url)


@asynccontextmanager
async def _marked(
    stores: Storage, snapshot: Snapshot, *, fresh: bool
) -> AsyncIterator[Callable[[], None]]:
    """Mark the hub as restoring; the block calls the yielded function before its first write.

    A block that fails earlier removes a ``fresh`` mark: the hub is still empty.
    """
    place = stores.settings.data.absolute() / RESTORE_FOLDER
    started = False

    def begin() -> None:
        nonlocal started
        started = True
        _write_snapshot_mark(place, snapshot)

    await run_in_lane(Lane.BACKGROUND, make_folder, place)
    await mark_restore(stores.db, snapshot.id)
    try:
        yield begin
    except BaseException:
        if fresh and not started:
            await unmark_restore(stores.db)
        raise


@contextmanager
def marked_folder(data: Path) -> Iterator[None]:
    """Create the first part of the mark, a folder, before the block restores into a hub.

    The folder exists before the database, so that an interrupted restore is recognised from the
    start. A block that fails before its first write removes the folder.
    """
    place = data.absolute() / RESTORE_FOLDER
    make_folder(place)
    try:
        yield
    except BaseException:
        if not (place / SNAPSHOT_MARK).exists():
            _remove(place)
        raise


def _remove(place: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(place)
        sync_folder(place.parent)


async def _check_empty(stores: Storage, place: Path, snapshot: Snapshot) -> None:
    if not await awaits_restore(stores.settings.database_url):
        raise InvalidInput(reason="the database is not empty: restore into a new one")
    started = place / SNAPSHOT_MARK
    if started.is_file() and started.read_text() == snapshot.id:
        return  # the content comes from the interrupted restore
    for kind in BlobKind:
        async for entry in stores.blobs.keys(kind):
            raise InvalidInput(reason=f"the blob store is not empty: it has {entry.key}")
    for repo_id in stores.git.repo_ids():
        raise InvalidInput(reason=f"the folder of git is not empty: it has {repo_id}")


def _write_snapshot_mark(place: Path, snapshot: Snapshot) -> None:
    with open_private(place / SNAPSHOT_MARK) as fd:
        os.write(fd, snapshot.id.encode())
        os.fsync(fd)
    sync_folder(place)


class _BlobRestore:
    """Checks and copies the blobs of a snapshot into a hub."""

    def __init__(
        self, stores: Storage, source: LocalBlobs, rows: sqlite3.Connection, progress: Progress
    ) -> None:
        self._stores = stores
        self._source = source
        self._rows = rows
        self._progress = progress
        self._lacking: set[str] = set()
        self._faults: list[str] = []

    async def check(self, manifest: Manifest) -> None:
        """Check that the backup has all blobs in their sizes, before the first write.

        Raises:
            BackupFault: blobs are missing or have other sizes.
        """
        self._lacking = {line.partition(":")[0] for line in manifest.lacking}
        for blob in required_blobs(self._rows):
            size = await self._source.size(blob.key)
            if size is None and str(blob.key) not in self._lacking:
                self._faults.append(f"{blob.key}: it is missing in the backup")
            elif size is not None and size != blob.size:
                self._faults.append(f"{blob.key}: {size} bytes instead of {blob.size}")
        self._raise_faults()

    def _raise_faults(self) -> None:
        if self._faults:
            raise BackupFault("the backup is damaged", sorted(self._faults))

    async def restore(self) -> None:
        """Copy all blobs into the hub.

        Raises:
            BackupFault: bytes do not match their digests.
        """
        total = sum(required_amounts(self._rows).values(), Amount())
        self._progress.begin("copying", total.count, total.bytes)
        if not self._stores.packs_are_blobs:
            for (repo_id,) in self._rows.execute("SELECT id FROM repo").fetchall():
                await run_in_lane(Lane.BACKGROUND, self._stores.git.create, repo_id)
        await for_each(required_blobs(self._rows), self._restore_blob)
        self._raise_faults()

    async def _restore_blob(self, blob: RequiredBlob) -> None:
        if str(blob.key) in self._lacking and await self._source.size(blob.key) is None:
            return
        path = (await self._source.open(blob.key)).path
        try:
            if blob.key.kind is BlobKind.PACK and not self._stores.packs_are_blobs:
                repo_ids = repos_of_pack(self._rows, blob.key.name)
                await run_in_lane(Lane.BACKGROUND, self._install, blob.key.name, path, repo_ids)
            else:
                await self._stores.blobs.put_file(blob.place, path, blob.verifier())
        except BlobCorrupt as error:
            self._faults.append(f"{blob.key}: {error.message}")
        self._progress.add(blob.size)

    def _install(self, name: str, path: Path, repo_ids: Sequence[str]) -> None:
        """Install a pack in all its repositories, as hard links to one file."""
        git = self._stores.git
        first = repo_ids[0]
        git.install_pack(first, name, path)
        for repo_id in repo_ids[1:]:
            for suffix in ("pack", "idx"):  # the index last: git looks for it first
                file = f"pack-{name}.{suffix}"
                if not (git.packs_path(repo_id) / file).exists():
                    os.link(git.packs_path(first) / file, git.packs_path(repo_id) / file)
            sync_folder(git.packs_path(repo_id))
