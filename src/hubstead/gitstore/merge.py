"""Three-way merges of commits, in memory but for a folder of the new objects' own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import ObjectType

from hubstead.gitstore import pointer, tree_rows
from hubstead.gitstore.pack_draft import PackDraft
from hubstead.gitstore.repo import GitRepo

#: How many paths in conflict a merge lists.
MAX_CONFLICTS = 1000


class MergedTree(NamedTuple):
    """The outcome of a merge: the tree, or the paths in conflict."""

    tree: str | None
    conflicts: tuple[str, ...] = ()


def merge_commits(git: GitRepo, draft: PackDraft, ours: str, theirs: str) -> MergedTree:
    """Merge ``theirs`` into ``ours`` by git's rules and add the new objects to ``draft``.

    Renames, modes and links are followed; texts are merged by lines. An LFS pointer that both
    sides changed is a conflict, because its lines belong together. Blocks: run it in a thread.

    Args:
        git: The repository, with both commits.
        draft: The pack that gets the new trees and files; untouched by a conflict.
        ours: The commit that is merged into.
        theirs: The commit that is merged.

    Raises:
        ObjectMissing: of a commit.
    """
    folder = Path(tempfile.mkdtemp(prefix="hubstead-merge-"))
    try:
        return git.with_handle(ours, lambda _: _merge(git.path, folder, draft, ours, theirs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _merge(source: Path, folder: Path, draft: PackDraft, ours: str, theirs: str) -> MergedTree:
    scratch = pygit2.init_repository(str(folder / "git"), bare=True)
    objects = Path(scratch.path) / "objects"
    (objects / "info").mkdir(exist_ok=True)
    (objects / "info" / "alternates").write_text(f"{source / 'objects'}\n")
    scratch = pygit2.Repository(scratch.path)
    index = scratch.merge_commits(ours, theirs)
    if index.conflicts is not None:
        return MergedTree(None, _paths(index))
    tree = str(index.write_tree(scratch))
    written = [path.parent.name + path.name for path in objects.glob("??/*")]
    pointers = {oid for oid in written if _is_pointer(scratch, oid)}
    mixed = sorted(entry.path for entry in index if str(entry.id) in pointers) if pointers else []
    if mixed:
        return MergedTree(None, tuple(mixed[:MAX_CONFLICTS]))
    for oid in written:
        kind, data = scratch.odb.read(oid)
        if kind == ObjectType.TREE:
            draft.tree(tree_rows.parse_rows(bytes(data)))
        elif kind == ObjectType.BLOB:
            draft.blob(bytes(data))
    return MergedTree(tree)


def _paths(index: pygit2.Index) -> tuple[str, ...]:
    """Return the paths in conflict; of a rename those of each side."""
    sides = [side for sides in index.conflicts or () for side in sides if side is not None]
    return tuple(sorted({side.path for side in sides})[:MAX_CONFLICTS])


def _is_pointer(scratch: pygit2.Repository, oid: str) -> bool:
    kind, data = scratch.odb.read(oid)
    return kind == ObjectType.BLOB and pointer.parse(bytes(data)) is not None
