"""The folder of a backup::

snapshots.tsv               id of each complete snapshot, and the sha256 of its manifest
hubstead-backup             marks the folder as a backup; its users lock it
snapshots/<time>-<random>/  one snapshot
    database.sqlite         every row
    blobs.tsv               kind, name and size of all blobs that the rows need
    manifest.json           written last: without it the snapshot does not count
blobs/<kind>/ab/cd/<name>   bytes of all snapshots, without copies (layout.py of room ``blobs``)
blobs/incoming/             incomplete uploads, also of crashed runs
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
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
_MARK_TEXT = b"A backup made by `hubstead backup`. It holds secrets: keep it as safe as the hub.\n"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one snapshot, complete or not."""

    path: Path

    @property
    def id(self) -> str:
        """The snapshot's name, which begins with its time."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The file of the rows."""
        return self.path / "database.sqlite"

    @property
    def listing(self) -> Path:
        """The file that lists the blobs."""
        return self.path / "blobs.tsv"

    @property
    def is_complete(self) -> bool:
        """Whether the manifest exists."""
        return (self.path / "manifest.json").exists()

    def read(self) -> Manifest:
        """Return the manifest.

        Raises:
            BackupFault: the manifest is lost, damaged, changed, or of a newer format.
        """
        path = self.path / "manifest.json"
        if not path.is_file():
            raise BackupFault(
                f"the snapshot {self.id} cannot be read", ["manifest.json: it is lost"]
            )
        data = path.read_bytes()
        self._check_digest(path, hashlib.sha256(data).hexdigest(), self._listed.get(self.id))
        manifest = decode(data)
        if manifest is None:
            raise BackupFault(
                f"the snapshot {self.id} cannot be read",
                ["manifest.json: it is damaged, or written by a newer Hubstead"],
            )
        return manifest

    def check_listing(self) -> None:
        """Compare the list of blobs with its digest.

        Raises:
            BackupFault: the list has changed.
        """
        self._check(self.listing, self.read().list_sha256)

    def check_database(self) -> None:
        """Compare the rows with their digest.

        Raises:
            BackupFault: the rows have changed.
        """
        self._check(self.database, self.read().database_sha256)

    def _check(self, path: Path, expected: str) -> None:
        self._check_digest(path, digest_of(path) if path.is_file() else "nothing", expected)

    def _check_digest(self, path: Path, digest: str, expected: str | None) -> None:
        if expected is not None and digest != expected:
            what = f"{path.name}: expected sha256:{expected}, got {digest}"
            raise BackupFault(f"the snapshot {self.id} is damaged", [what])

    def complete(self, manifest: Manifest) -> None:
        """Write the manifest, durably: from now on the snapshot counts."""
        for path in (self.database, self.listing):
            _sync(path)
        new = self.path / "manifest.json.new"
        with open_private(new) as fd:
            os.write(fd, encode(manifest))
            os.fsync(fd)
        sync_folder(self.path)
        new.rename(self.path / "manifest.json")
        sync_folder(self.path)
        sync_folder(self.path.parent)
        digest = hashlib.sha256(encode(manifest)).hexdigest()
        write_digests(self._root, {**self._listed, self.id: digest})

    @property
    def _root(self) -> Path:
        return self.path.parent.parent

    @property
    def _listed(self) -> dict[str, str]:
        return read_digests(self._root)

    def remove(self) -> None:
        """Remove the snapshot, its manifest first, so that no part of it counts."""
        if self.id in (listed := self._listed):
            del listed[self.id]
            write_digests(self._root, listed)
        (self.path / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=not self.path.exists())

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open the rows for reading; SQLite writes no files beside them."""
        with open_rows(self.database) as connection:
            yield connection


def read_digests(root: Path) -> dict[str, str]:
    """Return the sha256 of the manifest of each snapshot that ``snapshots.tsv`` lists, by id.

    Snapshots of earlier releases are not listed, nor is one whose run stopped just before that.
    """
    try:
        lines = (root / "snapshots.tsv").read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = [line.split("\t") for line in lines]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def write_digests(root: Path, digests: Mapping[str, str]) -> None:
    """Replace ``snapshots.tsv``, durably."""
    new = root / "snapshots.tsv.new"
    with open_private(new) as fd:
        os.write(fd, "".join(f"{id}\t{digest}\n" for id, digest in digests.items()).encode())
        os.fsync(fd)
    new.rename(root / "snapshots.tsv")
    sync_folder(root)


@contextmanager
def open_rows(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database file read-only; the file must not change inside the block."""
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
    """The folder of a backup; ``make`` creates it where the path is missing or empty.

    Raises:
        InvalidInput: the path has no backup, or has other content.
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
            os.write(fd, _MARK_TEXT)
            os.fsync(fd)
        sync_folder(self.root)

    @property
    def blobs_url(self) -> str:
        """The URL of the blob store, for ``open_blobs``."""
        return (self.root / "blobs").as_uri()

    def blobs(self) -> LocalBlobs:
        """Open the blob store."""
        return LocalBlobs(self.root / "blobs")

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """Lock the folder inside the block: exclusively (``alone``), or shared with other readers.

        Raises:
            Unavailable: another process has a conflicting lock.
        """
        fd = os.open(self.root / MARK, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            try:
                fcntl.flock(fd, mode | fcntl.LOCK_NB)
            except OSError:
                raise Unavailable(reason=f"another backup or restore uses {self.root}") from None
            yield
        finally:
            os.close(fd)

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots that were complete once, oldest first; some may be damaged."""
        listed = read_digests(self.root)
        present = {snapshot.id for snapshot in self._all_snapshots() if snapshot.is_complete}
        ids = sorted(present | listed.keys())
        return [Snapshot(self.root / "snapshots" / snapshot_id) for snapshot_id in ids]

    def snapshot(self, wanted: str | None = None) -> Snapshot:
        """Return the newest snapshot, or the one whose id begins with ``wanted``.

        It is never an older one because the newest is damaged or has lost its manifest: reading
        that one fails.

        Raises:
            InvalidInput: no snapshot matches, or more than one.
        """
        matches = [match for match in self.snapshots() if match.id.startswith(wanted or "")]
        if not matches:
            named = f"snapshot {wanted}" if wanted else "complete snapshot"
            raise InvalidInput(reason=f"there is no {named} in {self.root}")
        if wanted and len(matches) > 1:
            raise InvalidInput(reason=f"{wanted} may be {', '.join(match.id for match in matches)}")
        return matches[-1]

    def begin(self, created_ms: int) -> Snapshot:
        """Create the folder of a new snapshot."""
        time = datetime.fromtimestamp(created_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self.root / "snapshots" / f"{time}-{secrets.token_hex(2)}"
        make_folder(path)
        return Snapshot(path)

    def clear(self) -> None:
        """Remove incomplete snapshots of crashed runs; the caller has the exclusive lock."""
        listed = read_digests(self.root)  # a snapshot that lost its manifest stays, as evidence
        for snapshot in self._all_snapshots():
            if not snapshot.is_complete and snapshot.id not in listed:
                snapshot.remove()

    def _all_snapshots(self) -> list[Snapshot]:
        with contextlib.suppress(FileNotFoundError):
            return [Snapshot(path) for path in sorted((self.root / "snapshots").iterdir())]
        return []


@contextmanager
def open_private(path: Path) -> Iterator[int]:
    """Create a file that only its owner may read; a file of a crashed run is replaced."""
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
