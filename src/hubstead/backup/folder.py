"""The folder of a backup::

hubstead-backup             says what this folder is; locked by who works on it
snapshots/<time>-<chance>/  one moment each
    database.sqlite         every row
    blobs.tsv               kind, name and size of every blob that the rows need
    manifest.json           written last: without it the snapshot does not count
blobs/<kind>/ab/cd/<name>   bytes of all snapshots, each once (layout.py of room ``blobs``)
blobs/incoming/             being written, or left by a crash
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hubstead.backup.errors import BackupFault
from hubstead.backup.manifest import Manifest, decode, encode
from hubstead.blobs import LocalBlobs
from hubstead.errors import InvalidInput, Unavailable
from hubstead.files import make_folder, sync_folder

MARK = "hubstead-backup"
_SAYS = b"A backup made by `hubstead backup`. It holds secrets: keep it as safe as the hub.\n"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one snapshot, complete or being made."""

    path: Path

    @property
    def id(self) -> str:
        """Its name, which begins with its time."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The rows."""
        return self.path / "database.sqlite"

    @property
    def listing(self) -> Path:
        """The blobs."""
        return self.path / "blobs.tsv"

    @property
    def is_complete(self) -> bool:
        """Whether it was made to the end."""
        return (self.path / "manifest.json").exists()

    def read(self) -> Manifest:
        """Return what it says of itself.

        Raises:
            Faulty: it is damaged, or of a newer format.
        """
        manifest = decode((self.path / "manifest.json").read_bytes())
        if manifest is None:
            raise BackupFault(
                f"the snapshot {self.id} cannot be read",
                ["manifest.json: it is damaged, or written by a newer Hubstead"],
            )
        return manifest

    def check_listing(self) -> None:
        """Compare the list of blobs with its digest.

        Raises:
            Faulty: it is not as it was written.
        """
        self._check(self.listing, self.read().list_sha256)

    def check_database(self) -> None:
        """Compare the rows with their digest.

        Raises:
            Faulty: they are not as they were written.
        """
        self._check(self.database, self.read().database_sha256)

    def _check(self, path: Path, wanted: str) -> None:
        found = digest_of(path) if path.is_file() else "nothing"
        if found != wanted:
            what = f"{path.name}: expected sha256:{wanted}, got {found}"
            raise BackupFault(f"the snapshot {self.id} is damaged", [what])

    def complete(self, manifest: Manifest) -> None:
        """Make it count, durably."""
        for path in (self.database, self.listing):
            _sync(path)
        aside = self.path / "manifest.json.new"
        with open_private(aside) as fd:
            os.write(fd, encode(manifest))
            os.fsync(fd)
        sync_folder(self.path)
        aside.rename(self.path / "manifest.json")
        sync_folder(self.path)
        sync_folder(self.path.parent)

    def remove(self) -> None:
        """Take it away; from the first moment on it does not count any more."""
        (self.path / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(self.path)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open its rows for reading; nothing is written beside them."""
        with opened_rows(self.database) as connection:
            yield connection


@contextmanager
def opened_rows(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file that nobody changes."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        yield connection
    finally:
        connection.close()


class BackupFolder:
    """A folder for backups, made if ``make`` says so and it is missing or empty.

    Raises:
        InvalidInput: there is none, or it holds something else.
    """

    def __init__(self, root: Path, *, make: bool = False) -> None:
        self.root = root.absolute()
        if not (self.root / MARK).is_file():
            if not make:
                raise InvalidInput(reason=f"there is no backup in {root}")
            self._begin()

    def _begin(self) -> None:
        if self.root.is_dir() and any(self.root.iterdir()):
            raise InvalidInput(reason=f"{self.root} is neither a backup nor empty")
        make_folder(self.root)
        with open_private(self.root / MARK) as fd:
            os.write(fd, _SAYS)
            os.fsync(fd)
        sync_folder(self.root)

    @property
    def blobs_url(self) -> str:
        """Where the bytes lie, as ``open_blobs`` takes it."""
        return (self.root / "blobs").as_uri()

    def blobs(self) -> LocalBlobs:
        """Open the bytes."""
        return LocalBlobs(self.root / "blobs")

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """Keep others off while the block lasts: all, or only those who change something.

        Raises:
            Unavailable: somebody is at work here.
        """
        fd = os.open(self.root / MARK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            try:
                fcntl.flock(fd, how | fcntl.LOCK_NB)
            except OSError:
                raise Unavailable(reason=f"another backup or restore uses {self.root}") from None
            yield
        finally:
            os.close(fd)

    def snapshots(self) -> list[Snapshot]:
        """Return the complete snapshots, oldest first; some may be damaged."""
        return [each for each in self._all() if each.is_complete]

    def snapshot(self, wanted: str | None = None) -> Snapshot:
        """Return the newest snapshot, or the one whose id begins with ``wanted``.

        Raises:
            InvalidInput: there is none, or more than one.
        """
        found = [each for each in self.snapshots() if each.id.startswith(wanted or "")]
        if not found:
            named = f"snapshot {wanted}" if wanted else "complete snapshot"
            raise InvalidInput(reason=f"there is no {named} in {self.root}")
        if wanted and len(found) > 1:
            raise InvalidInput(reason=f"{wanted} may be {', '.join(each.id for each in found)}")
        return found[-1]

    def begin(self, made_ms: int) -> Snapshot:
        """Make the folder of a new snapshot."""
        time = datetime.fromtimestamp(made_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self.root / "snapshots" / f"{time}-{secrets.token_hex(2)}"
        make_folder(path)
        return Snapshot(path)

    def clear(self) -> None:
        """Remove snapshots that a crash left incomplete; only who is alone may."""
        for each in self._all():
            if not each.is_complete:
                each.remove()

    def _all(self) -> list[Snapshot]:
        with contextlib.suppress(FileNotFoundError):
            return [Snapshot(path) for path in sorted((self.root / "snapshots").iterdir())]
        return []


@contextmanager
def open_private(path: Path) -> Iterator[int]:
    """Begin a file that only its owner may read, in place of what a crash may have left."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def digest_of(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
