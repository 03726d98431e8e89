"""Making a hub of a snapshot: bytes first, then the rows that make them count."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot, open_private, opened_rows
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
    """Fill an empty hub, of whichever shape, with what a snapshot shows.

    The caller keeps the data folder, and the backup's folder against those who change it. Every
    byte is compared with its digest on the way. The rows come last, in one transaction; until
    the mark of the restore is gone after that, nobody else opens the hub. Run again after a
    crash, from any node, this goes on.

    Raises:
        InvalidInput: the hub is not empty, a restore of another snapshot into it is not complete,
            or the snapshot's schema is newer than this program.
        Faulty: the backup is damaged or not whole.
        StorageFull: there is no room. What is there stays for the next run.
        Unavailable: database or store do not answer.
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
    await asyncio.to_thread(_remove, place)
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
    with opened_rows(rows) as opened:
        wanted = await _Bytes(stores, folder.blobs(), opened, progress).present(snapshot.read())
        await asyncio.to_thread(begin)
        await wanted.restore()
    progress.begin("filling the database")
    await load_rows(rows, stores.settings.database_url)


@asynccontextmanager
async def _marked(
    stores: Storage, snapshot: Snapshot, *, fresh: bool
) -> AsyncIterator[Callable[[], None]]:
    """Mark the hub for the block, which calls what it gets before it writes the first byte.

    A block that fails earlier takes a ``fresh`` mark back: the hub is as empty as it was.
    """
    place = stores.settings.data.absolute() / RESTORE_FOLDER
    begun = False

    def begin() -> None:
        nonlocal begun
        begun = True
        _note_begun(place, snapshot)

    await asyncio.to_thread(make_folder, place)
    await mark_restore(stores.db, snapshot.id)
    try:
        yield begin
    except BaseException:
        if fresh and not begun:
            await unmark_restore(stores.db)
        raise


@contextmanager
def marked_folder(data: Path) -> Iterator[None]:
    """Keep the first part of the mark, a folder, while the block restores into a hub.

    It is there before the database is made, so that an interrupted restore is recognised from
    its first moment. A block that fails before anything was restored takes it back.
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
    begun = place / SNAPSHOT_MARK
    if begun.is_file() and begun.read_text() == snapshot.id:
        return  # what is there is of a restore that was interrupted
    for kind in BlobKind:
        async for each in stores.blobs.keys(kind):
            raise InvalidInput(reason=f"the blob store is not empty: it has {each.key}")
    for repo_id in stores.git.repo_ids():
        raise InvalidInput(reason=f"the folder of git is not empty: it has {repo_id}")


def _note_begun(place: Path, snapshot: Snapshot) -> None:
    with open_private(place / SNAPSHOT_MARK) as fd:
        os.write(fd, snapshot.id.encode())
        os.fsync(fd)
    sync_folder(place)


class _Bytes:
    """The blobs of a snapshot on their way into a hub."""

    def __init__(
        self, stores: Storage, source: LocalBlobs, rows: sqlite3.Connection, progress: Progress
    ) -> None:
        self._stores = stores
        self._source = source
        self._rows = rows
        self._progress = progress
        self._lacking: set[str] = set()
        self._faults: list[str] = []

    async def present(self, manifest: Manifest) -> _Bytes:
        """Look whether all is there, before anything is written.

        Raises:
            Faulty: it is not.
        """
        self._lacking = {line.partition(":")[0] for line in manifest.lacking}
        for need in required_blobs(self._rows):
            found = await self._source.size(need.key)
            if found is None and str(need.key) not in self._lacking:
                self._faults.append(f"{need.key}: it is missing in the backup")
            elif found is not None and found != need.size:
                self._faults.append(f"{need.key}: {found} bytes instead of {need.size}")
        self._judge()
        return self

    def _judge(self) -> None:
        if self._faults:
            raise BackupFault("the backup is damaged", sorted(self._faults))

    async def restore(self) -> None:
        """Put everything in its place.

        Raises:
            Faulty: some bytes are not the right ones.
        """
        total = sum(required_amounts(self._rows).values(), Amount())
        self._progress.begin("copying", total.count, total.bytes)
        if not self._stores.packs_are_blobs:
            for (repo_id,) in self._rows.execute("SELECT id FROM repo").fetchall():
                await asyncio.to_thread(self._stores.git.create, repo_id)
        await for_each(required_blobs(self._rows), self._one)
        self._judge()

    async def _one(self, need: RequiredBlob) -> None:
        if str(need.key) in self._lacking and await self._source.size(need.key) is None:
            return
        path = (await self._source.open(need.key)).path
        try:
            if need.key.kind is BlobKind.PACK and not self._stores.packs_are_blobs:
                repo_ids = repos_of_pack(self._rows, need.key.name)
                await asyncio.to_thread(self._install, need.key.name, path, repo_ids)
            else:
                await self._stores.blobs.put_file(need.place, path, need.verifier())
        except BlobCorrupt as error:
            self._faults.append(f"{need.key}: {error.message}")
        self._progress.add(need.size)

    def _install(self, name: str, path: Path, repo_ids: Sequence[str]) -> None:
        """Give a pack to each repository that has it, as copies of one file."""
        git = self._stores.git
        first = repo_ids[0]
        git.install_pack(first, name, path)
        for repo_id in repo_ids[1:]:
            for suffix in ("pack", "idx"):  # the index last, as git looks
                file = f"pack-{name}.{suffix}"
                if not (git.packs_path(repo_id) / file).exists():
                    os.link(git.packs_path(first) / file, git.packs_path(repo_id) / file)
            sync_folder(git.packs_path(repo_id))
