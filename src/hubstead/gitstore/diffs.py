"""Structured differences of two commits: files, hunks and lines, bounded in all three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hubstead.admission import checkpoint
from hubstead.gitstore.patches import Hunk, Oids, TextDiff, read_patches
from hubstead.gitstore.pointer import Pointer
from hubstead.gitstore.repo import GitRepo
from hubstead.ids import EMPTY_TREE

Status = Literal["added", "removed", "changed", "renamed"]
#: Why a file has no hunks: its bytes are no text, it is an LFS file, it is longer than
#: ``file_bytes``, the texts before it took all of ``bytes``, or it is a submodule.
Withheld = Literal["binary", "lfs", "long", "full", "submodule"]
_SUBMODULE = 0o160000
#: Room for the paths in git's output.
_OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DiffLimits:
    """How much of a difference is read and returned.

    Files beyond ``files`` are counted only; a file whose old or new text is longer than
    ``file_bytes`` has no hunks, nor has one after ``bytes`` of text in total. Lines beyond
    ``file_lines`` in a file, and ``lines`` in total, are left out, and ``FileDiff.cut`` is true.
    """

    files: int = 300
    bytes: int = 4 << 20
    file_bytes: int = 512 << 10
    lines: int = 3000
    file_lines: int = 400
    context: int = 3


DIFF_LIMITS = DiffLimits()


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One side of a file's difference; ``size`` is the file's own, also behind an LFS pointer."""

    path: str
    mode: int
    oid: str
    size: int
    pointer: Pointer | None


@dataclass(frozen=True, slots=True)
class FileDiff:
    """The difference of one file; ``added`` and ``removed`` count lines, those left out too."""

    status: Status
    old: DiffSide | None
    new: DiffSide | None
    hunks: tuple[Hunk, ...] = ()
    added: int = 0
    removed: int = 0
    withheld: Withheld | None = None
    cut: bool = False

    @property
    def oids(self) -> Oids:
        """The ids of the old and the new blob."""
        return self.old.oid if self.old else None, self.new.oid if self.new else None

    @property
    def text_bytes(self) -> int:
        """The bytes of both sides."""
        return sum(side.size for side in (self.old, self.new) if side is not None)

    @property
    def has_text(self) -> bool:
        """Whether its contents differ and none of the limits withholds their text."""
        return self.withheld is None and self.oids[0] != self.oids[1]

    @property
    def path(self) -> str:
        """The new path, or the old one of a removed file."""
        side = self.new or self.old
        assert side is not None
        return side.path


@dataclass(frozen=True, slots=True)
class CommitDiff:
    """The difference of two commits: some files, in the order of their paths, and all counted."""

    files: tuple[FileDiff, ...]
    total_files: int

    @property
    def added(self) -> int:
        """Lines added in these files."""
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        """Lines removed in these files."""
        return sum(file.removed for file in self.files)


def diff_commits(
    repo: GitRepo,
    old: str | None,
    new: str | None,
    *,
    limits: DiffLimits = DIFF_LIMITS,
    skip: int = 0,
    path: str | None = None,
) -> CommitDiff:
    """Return what ``new`` changed against ``old``; None is the empty tree.

    For a pull request or ``a...b``, ``old`` is ``repo.merge_base(a, b)``. A removed and an added
    file of the same content are one renamed file. It blocks: run it in ``Lane.HISTORY``.

    Args:
        repo: The repository.
        old: Id of a commit or tree.
        new: Id of a commit or tree.
        limits: What is returned at most.
        skip: Files to leave out at the start.
        path: Return this file alone, by its new or, if it was removed, its old path.

    Raises:
        ObjectMissing: a commit is missing.
    """
    changes = _with_renames(repo.diff_names(old, new))
    if path is not None:
        changes = [change for change in changes if path == (change[1] or change[0])]
    files = []
    left = limits.bytes
    for old_path, new_path in changes[skip : skip + limits.files]:
        checkpoint()
        file = _file(_side(repo, old, old_path), _side(repo, new, new_path), limits, left)
        left -= 0 if file.withheld else file.text_bytes
        files.append(file)
    return CommitDiff(tuple(_with_hunks(repo, old, new, files, limits)), len(changes))


def _with_renames(
    changes: Sequence[tuple[str, str | None, str | None]],
) -> list[tuple[str | None, str | None]]:
    """Return (old path, new path), with moves of one content as one change, by path."""
    removed: dict[str, list[str]] = {}
    for path, old, new in changes:
        if old is not None and new is None:
            removed.setdefault(old, []).append(path)
    pairs: list[tuple[str | None, str | None]] = []
    moved: set[str] = set()
    for path, old, new in changes:
        if old is None and new is not None and removed.get(new):
            source = removed[new].pop(0)
            moved.add(source)
            pairs.append((source, path))
        elif new is not None:
            pairs.append((path if old is not None else None, path))
    pairs += [
        (path, None)
        for path, old, new in changes
        if old is not None and new is None and path not in moved
    ]
    return sorted(pairs, key=lambda pair: pair[1] or pair[0] or "")


def _side(repo: GitRepo, oid: str | None, path: str | None) -> DiffSide | None:
    entry = repo.entry(oid, path) if oid is not None and path is not None else None
    if entry is None:
        return None
    pointer = repo.blob_facts(entry.oid).pointer if entry.type == "blob" else None
    size = pointer.size if pointer else entry.size
    return DiffSide(entry.path, entry.mode, entry.oid, size, pointer)


def _file(old: DiffSide | None, new: DiffSide | None, limits: DiffLimits, left: int) -> FileDiff:
    if old is None:
        status: Status = "added"
    elif new is None:
        status = "removed"
    else:
        status = "changed" if old.path == new.path else "renamed"
    sides = [side for side in (old, new) if side is not None]
    withheld: Withheld | None = None
    if any(side.mode == _SUBMODULE for side in sides):
        withheld = "submodule"
    elif any(side.pointer for side in sides):
        withheld = "lfs"
    elif any(side.size > limits.file_bytes for side in sides):
        withheld = "long"
    elif sum(side.size for side in sides) > left:
        withheld = "full"
    return FileDiff(status, old, new, withheld=withheld)


def _with_hunks(
    repo: GitRepo, old: str | None, new: str | None, files: list[FileDiff], limits: DiffLimits
) -> list[FileDiff]:
    """Return the files with the hunks that git writes for those whose text may be shown."""
    paths = [file.path for file in files if file.has_text]
    if not paths:
        return files
    chunks = repo.diff_text(
        old,
        new or EMPTY_TREE,
        max_bytes=_OUTPUT_BYTES + 4 * limits.bytes,
        paths=paths,
        renames=False,
        context=limits.context,
    )
    texts = read_patches(chunks, limits.lines, limits.file_lines)
    return [_with_text(file, texts) if file.has_text else file for file in files]


def _with_text(file: FileDiff, texts: dict[Oids, list[TextDiff]]) -> FileDiff:
    old, new = file.oids
    # Git writes a file that became a link, or back, as one removed and one added.
    pairs = [(old, new)] if texts.get((old, new)) else [(old, None), (None, new)]
    parts = [texts[pair].pop(0) for pair in pairs if texts.get(pair)]
    if not parts:  # the output was cut before this file
        return replace(file, withheld="full")
    if any(part.binary for part in parts):
        return replace(file, withheld="binary")
    return replace(
        file,
        hunks=tuple(hunk for part in parts for hunk in part.hunks),
        added=sum(part.added for part in parts),
        removed=sum(part.removed for part in parts),
        cut=any(part.cut for part in parts),
    )
