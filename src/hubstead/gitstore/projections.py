"""Small git directories with refs, for running git programs over a repository's objects.

The refs of a repository are rows in the database. A projection is an immutable git directory
that shows one state of them: ``packed-refs``, ``HEAD`` and a pointer to the objects. It lies in
the repository's own folder, named by what it shows, so readers of the same state share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from hubstead.gitstore.repo import GitRepo

FOLDER = "projections"
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


def project(repo: GitRepo, refs: Mapping[str, str], default_branch: str) -> Path:
    """Return a git directory that shows exactly these refs.

    Args:
        repo: Where the objects are.
        refs: Full names (``refs/heads/main``) and what they point to.
        default_branch: Short name of the branch that HEAD stands for.

    Raises:
        ObjectMissing: when a ref points to what is not there.
    """
    packed = _packed_refs(repo, refs)
    head = f"ref: refs/heads/{default_branch}\n".encode()
    name = hashlib.sha256(head + packed).hexdigest()[:40]
    target = repo.path / FOLDER / f"{name}.git"
    try:
        os.utime(target)  # keeps it from being swept
    except FileNotFoundError:
        _build(target, head, packed)
    return target


def _build(target: Path, head: bytes, packed: bytes) -> None:
    draft = target.parent / f"tmp_{secrets.token_hex(8)}"
    for folder in ("refs", "objects/info", "objects/pack"):
        (draft / folder).mkdir(parents=True)
    (draft / "HEAD").write_bytes(head)
    (draft / "config").write_bytes(CONFIG)
    (draft / "packed-refs").write_bytes(packed)
    (draft / "objects/info/alternates").write_bytes(b"../../../objects\n")
    try:
        draft.rename(target)
    except OSError:  # another reader was faster with the same
        shutil.rmtree(draft, ignore_errors=True)
        if not target.is_dir():
            raise


def _packed_refs(repo: GitRepo, refs: Mapping[str, str]) -> bytes:
    lines = ["# pack-refs with: peeled fully-peeled sorted \n"]
    for name in sorted(refs, key=str.encode):
        lines.append(f"{refs[name]} {name}\n")
        peeled = repo.peel_tag(refs[name])
        if peeled is not None:
            lines.append(f"^{peeled}\n")
    return "".join(lines).encode()


def sweep(repo_path: Path, *, older_than_s: float) -> int:
    """Remove projections that nobody asked for lately; return how many."""
    folder = repo_path / FOLDER
    limit = time.time() - older_than_s
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another sweep was faster
            if path.stat().st_mtime >= limit:
                continue
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def any_left(repo_path: Path) -> bool:
    """Tell whether a repository has projections."""
    folder = repo_path / FOLDER
    return folder.is_dir() and any(folder.iterdir())
