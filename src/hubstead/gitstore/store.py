"""All git repositories of a node, in one folder::

ROOT/6f/6f0c…e1.git/                 one bare repository, readable by any git
    HEAD  config  refs/              constant; refs are rows in the database
    objects/pack/pack-NAME.pack .idx
    objects/pack/tmp_…               unfinished files, some left by a crash
    projections/DIGEST.git/          see projections.py
ROOT/6f/tmp_…                        a repository during creation or removal
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from hubstead import errors
from hubstead.files import (
    make_folder,
    sync_file,
    sync_folder,
    translate_disk_errors,
    write_file,
)
from hubstead.gitstore import projections
from hubstead.gitstore.errors import RepoMissing
from hubstead.gitstore.handles import Handles
from hubstead.gitstore.lru_cache import LruCache
from hubstead.gitstore.programs import HARMLESS, GitProgram
from hubstead.gitstore.readers import Readers
from hubstead.gitstore.repack import Repacker
from hubstead.gitstore.repo import Caches, GitRepo
from hubstead.gitstore.staging import FOLDER as STAGING
from hubstead.gitstore.staging import PushLimits, RegisteredState, Staging
from hubstead.gitstore.upload_pack import UploadPack

_REPO_ID = re.compile(r"[0-9a-f]{24}")
_PACK_NAME = re.compile(r"[0-9a-f]{40}")
_TREE_CACHE_BYTES = 1 << 20
#: The limit of the object cache of libgit2 in this process.
_OBJECT_CACHE_BYTES = 64 << 20
_CACHED_ROWS = 400_000
_CACHED_FILES = 200_000
_CACHED_COUNTS = 50_000


class GitStore:
    """Bare repositories below ``root``, by their immutable id of 24 hex digits.

    Thread-safe; several processes may use the same folder. The parts serve on their own:
    ``upload_pack`` (fetches), ``handles`` (open repositories) and ``readers`` (running git
    programs).

    Args:
        root: Folder of the repositories; created if it is missing.
        compression: zlib level of new packs.
        max_open: Maximum number of open repositories.
        max_open_packs: Maximum number of their packs; a pack takes a file and two mappings.
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
        self.readers = Readers()
        self.upload_pack = UploadPack(self._program, self.readers)
        self._projected: set[str] = set()  # repositories that may have projections
        self.handles = Handles(repositories=max_open, packs=max_open_packs)
        self._caches = Caches(
            LruCache(_CACHED_ROWS), LruCache(_CACHED_FILES), LruCache(_CACHED_COUNTS)
        )
        with translate_disk_errors():
            make_folder(root.absolute())
        # Flat folders of 10,000 files are trees of 400 KB; by default libgit2 does not cache them.
        pygit2.settings.cache_object_limit(ObjectType.TREE, _TREE_CACHE_BYTES)
        pygit2.settings.cache_max_size(_OBJECT_CACHE_BYTES)
        # The administrator configures the folder; in a container its owner may be another user.
        pygit2.settings.owner_validation = False

    # -- repositories ------------------------------------------------------------------------

    def path(self, repo_id: str) -> Path:
        """Return the path of a repository, whether it exists or not.

        Raises:
            ValueError: ``repo_id`` is not the id of a repository.
        """
        if not _REPO_ID.fullmatch(repo_id):
            raise ValueError(f"not the id of a repository: {repo_id!r}")
        return self.root / repo_id[:2] / f"{repo_id}.git"

    def exists(self, repo_id: str) -> bool:
        """Tell whether the repository's folder is on this node."""
        return (self.path(repo_id) / "HEAD").is_file()

    def create(self, repo_id: str) -> GitRepo:
        """Open a repository; create it, empty and durable, if it is missing.

        Raises:
            errors.StorageFull: the disk is full; no file remains.
        """
        target = self.path(repo_id)
        if not self.exists(repo_id):
            self.remove(repo_id)  # a partly deleted cache may have left some files
            with translate_disk_errors():
                self._create_folder(target)
        return self.open(repo_id)

    def _create_folder(self, target: Path) -> None:
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
            except OSError:  # another caller created it meanwhile
                if not (target / "HEAD").is_file():
                    raise
            sync_folder(target.parent)
            sync_folder(self.root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def open(self, repo_id: str) -> GitRepo:
        """Return a repository; its libgit2 handle stays open in a bounded cache.

        Raises:
            RepoMissing: the folder is not on this node.
        """
        path = self.path(repo_id)
        if not os.path.exists(f"{path}/HEAD"):
            self.forget(repo_id)
            raise RepoMissing(repo_id=repo_id)
        self.handles.get(repo_id, path)
        return GitRepo(
            repo_id,
            path,
            handles=self.handles,
            caches=self._caches,
            program=self._program,
            compression=self._compression,
        )

    def remove(self, repo_id: str) -> None:
        """Delete the repository's folder, if it exists."""
        path = self.path(repo_id)
        self.forget(repo_id)
        trash = path.parent / f"tmp_{secrets.token_hex(12)}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(trash)
            sync_folder(path.parent)
        shutil.rmtree(trash, ignore_errors=True)
        self.forget(repo_id)

    def forget(self, repo_id: str) -> None:
        """Close the handle of a repository and drop what is cached of it."""
        self.handles.close(repo_id)
        self._caches.forget(repo_id)

    def repo_ids(self) -> Iterator[str]:
        """Yield the ids of all repositories on this node, in order."""
        for folder in sorted(self.root.iterdir()):
            for path in sorted(folder.iterdir()) if len(folder.name) == 2 else ():
                if path.suffix == ".git" and _REPO_ID.fullmatch(path.stem):
                    yield path.stem

    # -- packs -------------------------------------------------------------------------------

    def packs_path(self, repo_id: str) -> Path:
        """Return the folder of the repository's packs."""
        return self.path(repo_id) / "objects" / "pack"

    def pack_names(self, repo_id: str) -> list[str]:
        """Return the sorted names of the packs on disk that have an index.

        Raises:
            RepoMissing: the repository's folder is not on this node.
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
        """Copy a pack file into the repository and index it, durably.

        An existing pack stays and counts as new for :meth:`sweep`.

        Args:
            repo_id: The repository.
            name: The pack's name, which is the checksum at its end.
            source: The pack file.

        Raises:
            errors.BlobCorrupt: the file is not a complete pack of this name.
            errors.StorageFull: the disk is full; no file remains.
            RepoMissing: the repository's folder is not on this node.
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
            with translate_disk_errors():
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
        # index-pack requires the suffix; a link is cheaper than a second copy of a large pack
        suffixed = pack.with_name(f"{pack.name}.pack")
        os.link(pack, suffixed)
        try:
            result = self._program.outcome(
                self.path(repo_id), "index-pack", "--no-rev-index", "-o", str(idx), str(suffixed)
            )
        finally:
            suffixed.unlink()
        indexed = result.stdout.decode().strip()
        if result.returncode or indexed != name:
            message = result.stderr.decode("utf-8", "replace").strip()
            raise errors.BlobCorrupt(expected=f"pack {name}", got=indexed or message)

    def link_packs(self, source_id: str, repo_id: str) -> None:
        """Hard-link every pack of one repository into another, durably.

        Raises:
            RepoMissing: the folder of either repository is not on this node.
            errors.StorageFull: the disk is full.
        """
        folder = self._packs_folder(repo_id)
        with translate_disk_errors():
            for name in self.pack_names(source_id):
                targets, sources = _files(folder, name), _files(self._packs_folder(source_id), name)
                # The index comes last: git finds packs by it.
                for old, new in zip(sources, targets, strict=True):
                    if not new.exists():
                        os.link(old, new)
            sync_folder(folder)

    def is_older(self, repo_id: str, seconds: float, pack: str | None = None) -> bool:
        """Tell whether the repository's folder, or a pack, is unmodified for more than ``seconds``.

        Raises:
            RepoMissing: the folder or the pack is missing.
        """
        path = self.path(repo_id) if pack is None else _files(self._packs_folder(repo_id), pack)[0]
        try:
            return time.time() - path.stat().st_mtime > seconds
        except FileNotFoundError:
            raise RepoMissing(repo_id=repo_id) from None

    def remove_pack(self, repo_id: str, name: str) -> None:
        """Delete a pack and its auxiliary files, if they exist."""
        self.remove_packs(repo_id, [name])

    def remove_packs(self, repo_id: str, names: Sequence[str]) -> None:
        """Delete packs and their auxiliary files, if they exist."""
        folder = self.packs_path(repo_id)
        # The index goes first: git and libgit2 find packs by it.
        for name, suffix in itertools.product(names, (".idx", ".rev", ".bitmap", ".pack")):
            (folder / f"pack-{_validated(name)}{suffix}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            sync_folder(folder)
        self.handles.close(repo_id)

    def _packs_folder(self, repo_id: str) -> Path:
        folder = self.packs_path(repo_id)
        if not folder.is_dir():
            raise RepoMissing(repo_id=repo_id)
        return folder

    def sweep(self, repo_id: str, *, older_than_s: float) -> int:
        """Remove temporary files, packs without an index, and unused projections.

        It removes only files unmodified for ``older_than_s`` seconds, and returns their number.
        The caller removes packs without a row in the database.
        """
        folder = self._packs_folder(repo_id)
        limit = time.time() - older_than_s
        removed = 0
        for path in folder.iterdir():
            temporary = path.name.startswith("tmp_") or (
                path.suffix == ".pack" and not path.with_suffix(".idx").exists()
            )
            with contextlib.suppress(FileNotFoundError):
                if temporary and path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        for path in (self.path(repo_id) / STAGING).glob("tmp_*"):
            if path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
        return removed + projections.sweep(self.path(repo_id), older_than_s=older_than_s)

    def sweep_drafts(self, *, older_than_s: float) -> int:
        """Remove temporary folders of repositories after a crash.

        It removes only folders unmodified for ``older_than_s`` seconds, and returns their number.
        """
        limit = time.time() - older_than_s
        old = [path for path in self.root.glob("??/tmp_*") if path.stat().st_mtime < limit]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    # -- git programs ------------------------------------------------------------------------

    def stage(self, repo_id: str, registered: RegisteredState, limits: PushLimits) -> Staging:
        """Open the staging folder of a push; call in a thread.

        Args:
            repo_id: The repository.
            registered: The packs and refs in the database; a push may depend on these only.
            limits: The resource limits of the push.

        Raises:
            RepoMissing: the repository's folder is not on this node.
            errors.StorageFull: the disk is full.
        """
        if not self.exists(repo_id):
            raise RepoMissing(repo_id=repo_id)
        end = self.readers.begin(repo_id)
        try:
            return Staging(self._program, self.path(repo_id), registered, limits, end)
        except BaseException:
            end()
            raise

    @contextlib.contextmanager
    def repacker(self, repo_id: str) -> Iterator[Repacker]:
        """Write packs of a repository inside the block, which counts as a reader of its packs."""
        with self.readers.track(repo_id):
            yield Repacker(self._program, self.path(repo_id))

    def projection(self, repo_id: str, refs: Mapping[str, tuple[str, str]], head: str) -> Path:
        """Return an immutable git directory with these refs and HEAD.

        Use it for read-only git programs. It stays until a sweep after its last use; another
        call with the same refs counts as a use.

        Args:
            repo_id: The repository.
            refs: By full name, the object and the commit behind it.
            head: The full name of the branch that HEAD refers to.

        Raises:
            RepoMissing: the repository's folder is not on this node.
        """
        self._projected.add(repo_id)
        return projections.project(self.open(repo_id), refs, head, spare=self._spare)

    def sweep_projections(self, *, older_than_s: float) -> None:
        """Remove projections of this process that were unused for ``older_than_s`` seconds.

        Projections that a running program may use stay. Call in a thread.
        """
        for repo_id in list(self._projected):
            self._projected.discard(repo_id)  # first: another thread may add a projection meanwhile
            reading_s = self.readers.oldest_s(repo_id)
            min_age_s = older_than_s if reading_s is None else max(older_than_s, reading_s + 60)
            projections.sweep(self.path(repo_id), older_than_s=min_age_s)
            if projections.any_left(self.path(repo_id)):
                self._projected.add(repo_id)

    def fsck(self, repo_id: str, tips: Sequence[str]) -> list[str]:
        """Return the faults that ``git fsck --strict`` reports on all packs and on ``tips``.

        An empty list means no fault. Unreachable objects are no fault, nor are the faults that a
        push may contain (``HARMLESS``).

        Raises:
            RepoMissing: the repository's folder is not on this node.
        """
        if not self.exists(repo_id):
            raise RepoMissing(repo_id=repo_id)
        ignored = [part for fault in HARMLESS for part in ("-c", f"fsck.{fault}=ignore")]
        options = ["--full", "--strict", "--no-dangling", "--no-progress", "--no-reflogs"]
        with self.readers.track(repo_id):
            result = self._program.outcome(self.path(repo_id), *ignored, "fsck", *options, *tips)
        lines = (result.stdout + result.stderr).decode("utf-8", "replace").splitlines()
        # With --strict the remaining warnings are faults that a push may contain: an old tag
        # without its tagger, a link called .gitattributes.
        faults = [
            line for line in lines if line and not line.startswith(("notice: ", "warning in "))
        ]
        if result.returncode and not faults:
            return [f"git fsck ended with status {result.returncode}"]
        return faults


def _validated(name: str) -> str:
    if not _PACK_NAME.fullmatch(name):
        raise ValueError(f"not the name of a pack: {name!r}")
    return name


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    stem = f"pack-{_validated(name)}"
    return folder / f"{stem}.pack", folder / f"{stem}.idx"
