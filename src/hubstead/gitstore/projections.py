"""Git directories with the refs of a repository, for git programs.

The refs of a repository are rows in the database. A projection is an immutable git directory
that contains one snapshot of them: ``packed-refs``, ``HEAD`` and an alternates file for the
objects. It lies in the repository's folder; its name is a digest of the snapshot, so readers of
the same snapshot share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from hubstead.files import disk_error, translate_disk_errors
from hubstead.gitstore.repo import GitRepo

FOLDER = "projections"
_ALTERNATES = "objects/info/alternates"
_MEMORY = "/dev/shm"  # noqa: S108  (mkdtemp creates a private folder there)
CONFIG = b"""[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tfsync = all
[gc]
\tauto = 0
[maintenance]
\tauto = false
[receive]
\tautogc = false
"""


#: The maximum number of projections in memory.
_MAX_IN_MEMORY = 32


class SpareFolder:
    """In-memory projections, for fetches while the disk takes no files; evicts the oldest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._names: deque[str] = deque()

    def lay(self, name: str, files: Mapping[str, bytes]) -> Path:
        """Return the projection of this name; create it with these files if it is missing.

        Raises:
            StorageFull: the memory is full, too.
        """
        with self._lock, translate_disk_errors():
            if self._folder is None:
                parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
                self._folder = tempfile.TemporaryDirectory(prefix="hubstead-", dir=parent)
            root = Path(self._folder.name)
            if name in self._names:
                return root / name
            while len(self._names) >= _MAX_IN_MEMORY:
                shutil.rmtree(root / self._names.popleft(), ignore_errors=True)
            _write(root / name, files)
            self._names.append(name)
            return root / name


def project(
    repo: GitRepo, refs: Mapping[str, tuple[str, str]], head: str, *, spare: SpareFolder
) -> Path:
    """Return a git directory with exactly these refs.

    Args:
        repo: The repository with the objects.
        refs: By full ref name, the object and the commit behind it.
        head: Full name of the branch that HEAD refers to.
        spare: The in-memory projections, for a disk that takes no files.

    Raises:
        StorageFull: the disk and the memory are full.
    """
    packed = _packed_refs(refs)
    symref = f"ref: {head}\n".encode()
    name = hashlib.sha256(symref + packed).hexdigest()[:40]
    target = repo.path / FOLDER / f"{name}.git"
    try:
        os.utime(target)  # postpones its sweep
    except FileNotFoundError:
        files = {"HEAD": symref, "config": CONFIG, "packed-refs": packed}
        try:
            _build(target, files | {_ALTERNATES: b"../../../objects\n"})
        except OSError as fault:
            if disk_error(fault) is None:
                raise
            objects = os.fsencode(repo.path.absolute() / "objects") + b"\n"
            return spare.lay(f"{repo.repo_id}-{name}.git", files | {_ALTERNATES: objects})
    except OSError as fault:  # a read-only disk is not swept
        if disk_error(fault) is None:
            raise
    return target


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for below in ("refs", "objects/info", "objects/pack"):
            (folder / below).mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _build(target: Path, files: Mapping[str, bytes]) -> None:
    draft = target.parent / f"tmp_{secrets.token_hex(8)}"
    _write(draft, files)
    try:
        draft.rename(target)
    except OSError:  # another reader created it meanwhile
        shutil.rmtree(draft, ignore_errors=True)
        if not target.is_dir():
            raise


def _packed_refs(refs: Mapping[str, tuple[str, str]]) -> bytes:
    lines = ["# pack-refs with: peeled fully-peeled sorted \n"]
    for name in sorted(refs, key=str.encode):
        oid, commit = refs[name]
        lines.append(f"{oid} {name}\n")
        if commit != oid:
            lines.append(f"^{commit}\n")
    return "".join(lines).encode()


def sweep(repo_path: Path, *, older_than_s: float) -> int:
    """Remove projections unused for ``older_than_s`` seconds; return how many."""
    folder = repo_path / FOLDER
    limit = time.time() - older_than_s
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another sweep removed it meanwhile
            if path.stat().st_mtime >= limit:
                continue
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def any_left(repo_path: Path) -> bool:
    """Tell whether a repository has projections."""
    folder = repo_path / FOLDER
    return folder.is_dir() and any(folder.iterdir())
