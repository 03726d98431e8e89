"""All git repositories of a node, below one folder::

ROOT/6f/6f0c…e1.git/                 one bare repository, readable by any git
    HEAD  config  refs/              constant: refs are rows in the database
    objects/pack/pack-NAME.pack .idx
    objects/pack/tmp_…               being written, or left by a crash
    projections/DIGEST.git/          see projections.py
ROOT/6f/tmp_…                        a repository being made
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from hubstead import errors
from hubstead.files import (
    make_folder,
    sync_file,
    sync_folder,
    translate_disk_full,
    write_file,
)
from hubstead.gitstore import projections
from hubstead.gitstore.errors import RepoMissing
from hubstead.gitstore.handles import Handles, OpenCounts
from hubstead.gitstore.lru_cache import LruCache
from hubstead.gitstore.pack_draft import Pack
from hubstead.gitstore.processes import GitOutput
from hubstead.gitstore.programs import HARMLESS, GitProgram
from hubstead.gitstore.readers import Readers
from hubstead.gitstore.repack import Repacker
from hubstead.gitstore.repo import Caches, GitRepo
from hubstead.gitstore.staging import FOLDER as STAGING
from hubstead.gitstore.staging import PushLimits, RegisteredState, Staging
from hubstead.gitstore.upload_pack import advertised_capabilities, upload_pack

_REPO_ID = re.compile(r"[0-9a-f]{24}")
_PACK_NAME = re.compile(r"[0-9a-f]{40}")
_TREE_CACHE_BYTES = 1 << 20
#: Of all objects that libgit2 remembers in this process.
_OBJECT_CACHE_BYTES = 64 << 20
_CACHED_ROWS = 400_000
_CACHED_FILES = 200_000
_CACHED_COUNTS = 50_000


class GitStore:
    """Bare repositories below ``root``, named by an id of 24 hex digits that never changes.

    Safe to use from several threads, and beside other processes over the same folder.

    Args:
        root: Folder of the repositories; made when it is not there.
        compression: zlib level of packs we write.
        max_open: How many repositories are held open at most.
        max_open_packs: How many packs they hold open at most: a file and two mappings each.
        program: The git program.
    """

    def __init__(
        self,
        root: Path,
        *,
        compression: int = 1,
        max_open: int = 256,
        max_open_packs: int = 4096,
        program: str = "git",
    ) -> None:
        self.root = root
        self._compression = compression
        self._program = GitProgram(program)
        self._spare = projections.SpareFolder()
        self._offered: dict[bool, list[str]] = {}
        self._readers = Readers()
        self._projected: set[str] = set()  # repositories that may have projections
        self._handles = Handles(repositories=max_open, packs=max_open_packs)
        self._caches = Caches(
            LruCache(_CACHED_ROWS), LruCache(_CACHED_FILES), LruCache(_CACHED_COUNTS)
        )
        with translate_disk_full():
            make_folder(root.absolute())
        # Flat folders of 10,000 files are trees of 400 KB; by default libgit2 reads them anew.
        pygit2.settings.cache_object_limit(ObjectType.TREE, _TREE_CACHE_BYTES)
        pygit2.settings.cache_max_size(_OBJECT_CACHE_BYTES)
        # The folder is ours by configuration; its owner may be another user in a container.
        pygit2.settings.owner_validation = False

    # -- repositories ------------------------------------------------------------------------

    def path(self, repo_id: str) -> Path:
        """Return where a repository is, or would be.

        Raises:
            ValueError: when this is not a repository's id.
        """
        if not _REPO_ID.fullmatch(repo_id):
            raise ValueError(f"not the id of a repository: {repo_id!r}")
        return self.root / repo_id[:2] / f"{repo_id}.git"

    def exists(self, repo_id: str) -> bool:
        """Tell whether the repository's folder is on this node."""
        return (self.path(repo_id) / "HEAD").is_file()

    def create(self, repo_id: str) -> GitRepo:
        """Make an empty repository, durably, and open it; one that is there already is opened.

        Raises:
            errors.StorageFull: when the disk is full; nothing is left.
        """
        target = self.path(repo_id)
        if not self.exists(repo_id):
            self.remove(repo_id)  # what a vanishing cache may have left of it
            with translate_disk_full():
                self._build(target)
        return self.open(repo_id)

    def _build(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.parent / f"tmp_{secrets.token_hex(12)}"
        folders = [draft / name for name in ("objects/info", "objects/pack", "refs/heads")]
        try:
            for folder in folders:
                folder.mkdir(parents=True)
            write_file(draft / "HEAD", b"ref: refs/heads/main\n")
            write_file(draft / "config", projections.CONFIG)
            for folder in (*folders, draft / "objects", draft / "refs", draft):
                sync_folder(folder)
            try:
                draft.rename(target)
            except OSError:  # another caller was faster
                if not (target / "HEAD").is_file():
                    raise
            sync_folder(target.parent)
            sync_folder(self.root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def open(self, repo_id: str) -> GitRepo:
        """Return the repository; its objects are read over a handle that stays open a while.

        Raises:
            RepoMissing: when its folder is not on this node.
        """
        path = self.path(repo_id)
        if not os.path.exists(f"{path}/HEAD"):
            self._forget(repo_id)
            raise RepoMissing(repo_id=repo_id)
        self._handles.get(repo_id, path)
        return GitRepo(
            repo_id,
            path,
            handles=self._handles,
            caches=self._caches,
            program=self._program,
            compression=self._compression,
        )

    def let_go(self, repo_id: str) -> None:
        """Close a repository's packs, of which some were replaced; it is opened anew when used.

        What reads it now reads on.
        """
        self._handles.let_go(repo_id)

    def refresh_handles(self) -> None:
        """Close what holds packs that another process removed; call in a thread, now and then."""
        self._handles.refresh()

    def open_counts(self) -> OpenCounts:
        """Return how many repositories this process holds open, and how many packs with them."""
        return self._handles.counts()

    def remove(self, repo_id: str) -> None:
        """Delete the repository's folder; one that is not there is no fault."""
        path = self.path(repo_id)
        self._forget(repo_id)
        gone = path.parent / f"tmp_{secrets.token_hex(12)}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(gone)
            sync_folder(path.parent)
        shutil.rmtree(gone, ignore_errors=True)
        self._forget(repo_id)

    def _forget(self, repo_id: str) -> None:
        self._handles.let_go(repo_id)
        self._caches.forget(repo_id)

    def repo_ids(self) -> Iterator[str]:
        """Yield the ids of all repositories on this node, in order."""
        for shelf in sorted(self.root.iterdir()):
            for path in sorted(shelf.iterdir()) if len(shelf.name) == 2 else ():
                if path.suffix == ".git" and _REPO_ID.fullmatch(path.stem):
                    yield path.stem

    # -- packs -------------------------------------------------------------------------------

    def packs_path(self, repo_id: str) -> Path:
        """Return the folder of the repository's packs."""
        return self.path(repo_id) / "objects" / "pack"

    def pack_names(self, repo_id: str) -> list[str]:
        """Return the names of the packs on disk, whole ones only (with their index), in order.

        Raises:
            RepoMissing: when the repository's folder is not on this node.
        """
        try:
            files = set(os.listdir(self.packs_path(repo_id)))
        except FileNotFoundError:
            raise RepoMissing(repo_id=repo_id) from None
        names = [file[5:-4] for file in files if file.startswith("pack-") and file.endswith(".idx")]
        return sorted(
            name for name in names if _PACK_NAME.fullmatch(name) and f"pack-{name}.pack" in files
        )

    def install_pack(self, repo_id: str, name: str, source: Path) -> None:
        """Put a copy of a pack file into the repository, with an index made for it, durably.

        A pack that is there already stays and counts as new for :meth:`sweep`.

        Args:
            repo_id: The repository.
            name: The pack's name: the checksum at its end.
            source: The pack file.

        Raises:
            errors.BlobCorrupt: when the file is not a whole pack of this name.
            errors.StorageFull: when the disk is full; nothing is left.
            RepoMissing: when the repository's folder is not on this node.
        """
        folder = self._packs_folder(repo_id)
        target = _files(folder, name)
        if all(path.is_file() for path in target):
            for path in target:
                os.utime(path)
            return
        token = secrets.token_hex(12)
        draft = folder / f"tmp_pack_{token}", folder / f"tmp_idx_{token}"
        try:
            with translate_disk_full():
                shutil.copyfile(source, draft[0])
                self._index(repo_id, name, draft)
                for path, final in zip(draft, target, strict=True):
                    path.chmod(0o444)
                    sync_file(path)
                    path.rename(final)
                sync_folder(folder)
        finally:
            for path in draft:
                path.unlink(missing_ok=True)

    def _index(self, repo_id: str, name: str, draft: tuple[Path, Path]) -> None:
        pack, idx = draft
        # index-pack wants the suffix; linking is cheaper than a second copy of a large pack
        suffixed = pack.with_name(f"{pack.name}.pack")
        os.link(pack, suffixed)
        try:
            done = self._program.outcome(
                self.path(repo_id), "index-pack", "--no-rev-index", "-o", str(idx), str(suffixed)
            )
        finally:
            suffixed.unlink()
        found = done.stdout.decode().strip()
        if done.returncode or found != name:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise errors.BlobCorrupt(expected=f"pack {name}", got=found or said)

    def link_packs(self, source_id: str, repo_id: str) -> None:
        """Give one repository every pack of another one, durably, by hard links.

        Raises:
            RepoMissing: if either has no folder.
            errors.StorageFull: when the disk is full.
        """
        folder = self._packs_folder(repo_id)
        with translate_disk_full():
            for name in self.pack_names(source_id):
                ours, theirs = _files(folder, name), _files(self._packs_folder(source_id), name)
                for old, new in zip(theirs, ours, strict=True):  # the index last, as git looks
                    if not new.exists():
                        os.link(old, new)
            sync_folder(folder)

    def is_older(self, repo_id: str, seconds: float, pack: str | None = None) -> bool:
        """Tell whether the folder, or a pack in it, was last touched longer ago than that.

        Raises:
            RepoMissing: when it is not there.
        """
        path = self.path(repo_id) if pack is None else _files(self._packs_folder(repo_id), pack)[0]
        try:
            return time.time() - path.stat().st_mtime > seconds
        except FileNotFoundError:
            raise RepoMissing(repo_id=repo_id) from None

    def remove_pack(self, repo_id: str, name: str) -> None:
        """Unlink a pack and what git keeps beside it; one that is not there is no fault."""
        self.remove_packs(repo_id, [name])

    def remove_packs(self, repo_id: str, names: Sequence[str]) -> None:
        """Unlink packs and what git keeps beside them; one that is not there is no fault."""
        folder = self.packs_path(repo_id)
        # The index goes first: git and libgit2 find packs by it.
        for name, suffix in itertools.product(names, (".idx", ".rev", ".bitmap", ".pack")):
            (folder / f"pack-{_checked(name)}{suffix}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            sync_folder(folder)
        self._handles.let_go(repo_id)

    def reader_count(self) -> int:
        """Return how many git programs of this process read repositories."""
        return self._readers.count()

    def reading_s(self, repo_id: str) -> float | None:
        """Return how long the oldest git program has been reading a repository; None: none is.

        Such a program may still look for packs that were there when it began.
        """
        return self._readers.longest_s(repo_id)

    def _packs_folder(self, repo_id: str) -> Path:
        folder = self.packs_path(repo_id)
        if not folder.is_dir():
            raise RepoMissing(repo_id=repo_id)
        return folder

    def sweep(self, repo_id: str, *, older_than_s: float) -> int:
        """Remove leftovers of crashes (drafts, packs without an index) and unused projections.

        Only what was not touched for ``older_than_s`` seconds; returns how many were removed.
        Packs that no row of the database names are the caller's to remove.
        """
        folder = self._packs_folder(repo_id)
        limit = time.time() - older_than_s
        removed = 0
        for path in folder.iterdir():
            leftover = path.name.startswith("tmp_") or (
                path.suffix == ".pack" and not path.with_suffix(".idx").exists()
            )
            with contextlib.suppress(FileNotFoundError):
                if leftover and path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        for path in (self.path(repo_id) / STAGING).glob("tmp_*"):
            if path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
        return removed + projections.sweep(self.path(repo_id), older_than_s=older_than_s)

    def sweep_drafts(self, *, older_than_s: float) -> int:
        """Remove repositories that were being made or removed when a crash came.

        Only what was not touched for ``older_than_s`` seconds; returns how many were removed.
        """
        limit = time.time() - older_than_s
        old = [path for path in self.root.glob("??/tmp_*") if path.stat().st_mtime < limit]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    # -- fetching and pushing ----------------------------------------------------------------

    def offered(self, folder: Path, version: int) -> list[str]:
        """Return what git offers to those who fetch; remembered, see `upload_pack.py`."""
        found = self.remembered(version) or advertised_capabilities(self._program, folder, version)
        if found:
            self._offered[version == 2] = found
        return found

    def remembered(self, version: int) -> list[str]:
        """Return what `offered` has found out before, if anything."""
        return self._offered.get(version == 2, [])

    async def upload_pack(self, folder: Path, request: bytes, *, protocol: str) -> GitOutput:
        """Start answering one request of a fetch from a projection; see `upload_pack.py`."""
        repo_id = folder.parent.parent.stem
        ended = self._readers.begin(repo_id)
        return await upload_pack(self._program, folder, request, protocol=protocol, on_close=ended)

    def stage(self, repo_id: str, registered: RegisteredState, limits: PushLimits) -> Staging:
        """Begin to take a pushed pack; call in a thread.

        Args:
            repo_id: The repository.
            registered: What the database knows of, which is all that a push may lean on.
            limits: What looking through it may take.

        Raises:
            RepoMissing: when the repository's folder is not on this node.
            errors.StorageFull: when the disk is full.
        """
        if not self.exists(repo_id):
            raise RepoMissing(repo_id=repo_id)
        removed = self._readers.begin(repo_id)
        try:
            return Staging(self._program, self.path(repo_id), registered, limits, removed)
        except BaseException:
            removed()
            raise

    # -- folding -----------------------------------------------------------------------------

    def fold(self, repo_id: str, names: Sequence[str]) -> Pack | None:
        """Make one pack of all objects in some; see `folding.py`. Call in a thread."""
        with self._readers.reading(repo_id):
            return Repacker(self._program, self.path(repo_id)).fold(names)

    def gather(self, repo_id: str, projection: Path) -> Pack | None:
        """Make one pack of all that a projection's refs reach. Call in a thread."""
        with self._readers.reading(repo_id):
            return Repacker(self._program, self.path(repo_id)).whole(projection)

    def leads_only_to(
        self, repo_id: str, packs: Sequence[str], tips: Sequence[str], known: Sequence[str]
    ) -> bool:
        """Tell whether some packs hold all that ``tips`` reach and ``known`` do not."""
        with self._readers.reading(repo_id):
            return Repacker(self._program, self.path(repo_id)).leads_only_to(packs, tips, known)

    def unreached(self, repo_id: str, packs: Sequence[str], tips: Sequence[str]) -> dict[str, int]:
        """Return the objects of some packs that no tip reaches, and their bytes. In a thread."""
        with self._readers.reading(repo_id):
            return Repacker(self._program, self.path(repo_id)).unreached(packs, tips)

    def pack_rest(self, repo_id: str, oids: Iterable[str]) -> Pack | None:
        """Make one pack of some objects. Call in a thread."""
        with self._readers.reading(repo_id):
            return Repacker(self._program, self.path(repo_id)).rest(oids)

    def write_commit_graph(self, repo_id: str, tips: Sequence[str]) -> None:
        """Write git's index of commits anew."""
        Repacker(self._program, self.path(repo_id)).write_commit_graph(tips)

    # -- git programs ------------------------------------------------------------------------

    def projection(self, repo_id: str, refs: Mapping[str, str], head: str) -> Path:
        """Return an immutable git directory that shows these refs (full name to id) and HEAD.

        Meant for running git programs that only read. It stays until :meth:`sweep` finds it
        unused; asking again keeps it.

        Raises:
            ObjectMissing: when a ref names what is not there.
            RepoMissing: when the repository's folder is not on this node.
        """
        self._projected.add(repo_id)
        return projections.project(self.open(repo_id), refs, head, spare=self._spare)

    def sweep_projections(self, *, older_than_s: float) -> None:
        """Remove projections made by this process that were not asked for lately.

        Those that a running program may have begun with stay. Call in a thread.
        """
        for repo_id in list(self._projected):
            self._projected.discard(repo_id)  # first: one may be made meanwhile
            reading_s = self.reading_s(repo_id)
            spared_s = older_than_s if reading_s is None else max(older_than_s, reading_s + 60)
            projections.sweep(self.path(repo_id), older_than_s=spared_s)
            if projections.any_left(self.path(repo_id)):
                self._projected.add(repo_id)

    def fsck(self, repo_id: str, tips: Sequence[str]) -> list[str]:
        """Return what ``git fsck --strict`` has against the packs and all that ``tips`` reach.

        No lines means no fault. Objects that no tip reaches are not a fault, nor is what a push
        may bring (``HARMLESS``).

        Raises:
            RepoMissing: when the repository's folder is not on this node.
        """
        if not self.exists(repo_id):
            raise RepoMissing(repo_id=repo_id)
        ignored = [part for fault in HARMLESS for part in ("-c", f"fsck.{fault}=ignore")]
        options = ["--full", "--strict", "--no-dangling", "--no-progress", "--no-reflogs"]
        with self._readers.reading(repo_id):
            done = self._program.outcome(self.path(repo_id), *ignored, "fsck", *options, *tips)
        lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
        # Strictly looked at, what is left as a warning is what a push may bring as well: a tag
        # of old without its tagger, a link called .gitattributes.
        found = [
            line for line in lines if line and not line.startswith(("notice: ", "warning in "))
        ]
        if done.returncode and not found:
            return [f"git fsck ended with status {done.returncode}"]
        return found


def _checked(name: str) -> str:
    if not _PACK_NAME.fullmatch(name):
        raise ValueError(f"not the name of a pack: {name!r}")
    return name


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    stem = f"pack-{_checked(name)}"
    return folder / f"{stem}.pack", folder / f"{stem}.idx"
