"""Commit history: walks, counts and last changes, over an open libgit2 repository.

Walks are lazy and yield the newest commit first. Like git's default order, they rely on commit
times that increase from parent to child.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import pygit2
from pygit2.enums import ObjectType, SortMode

from hubstead.admission import checkpoint
from hubstead.gitstore.encodings import decode
from hubstead.gitstore.tree_rows import parse_rows, plain_mode

#: (mode, id) of a tree entry.
ModeAndOid = tuple[int, pygit2.Oid]
_MAX_ANCESTORS = 1000
#: The end of the year 9999, where datetime ends; commits may claim any time.
_MAX_TIME_S = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; ``time_s`` is the committer's, in seconds from the epoch to the year 9999."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    time_s: int
    message: str

    @classmethod
    def of(cls, commit: pygit2.Commit) -> Self:
        """Convert a commit of libgit2; decode its text by its ``encoding`` header."""
        author, encoding = commit.author, _encoding(commit)
        return cls(
            str(commit.id),
            str(commit.tree_id),
            tuple([str(parent) for parent in commit.parent_ids]),
            decode(author.raw_name, encoding),
            decode(author.raw_email, encoding),
            min(max(commit.commit_time, 0), _MAX_TIME_S),
            decode(commit.raw_message, encoding),
        )

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.lstrip("\n").partition("\n")[0].strip()

    @property
    def body(self) -> str:
        """The message after its first line, without surrounding empty lines."""
        return self.message.lstrip("\n").partition("\n")[2].strip()


def _encoding(commit: pygit2.Commit) -> str | None:
    try:
        return commit.message_encoding
    except UnicodeDecodeError:
        return None


def commit_of(git: pygit2.Repository, oid: str | pygit2.Oid) -> pygit2.Commit:
    """Return a commit by its id.

    Raises:
        KeyError: the object is missing or is not a commit.
    """
    commit: object = git[oid]
    if not isinstance(commit, pygit2.Commit):
        raise KeyError(str(oid))
    return commit


def all_of(git: pygit2.Repository, oid: str, hide: str | None = None) -> Iterator[pygit2.Commit]:
    """Yield commits in git's default order, except those reachable from ``hide``."""
    # SortMode.NONE is that order, and the only one that libgit2 yields lazily.
    walker = git.walk(commit_of(git, oid).id, SortMode.NONE)
    if hide is not None:
        walker.hide(commit_of(git, hide).id)
    for commit in walker:
        checkpoint()
        yield commit


class Walk(NamedTuple):
    """The raw ids that a walk visited, and those of their parents."""

    oids: list[bytes]
    parents: set[bytes]


def walk_commits(git: pygit2.Repository, tips: Iterable[str], hidden: Iterable[str] = ()) -> Walk:
    """Visit the commits that ``tips`` reach and ``hidden`` do not, and the tags at the tips.

    Args:
        git: The repository.
        tips: Ids of commits and of tag objects; tags of other objects than commits reach none.
        hidden: Ids of commits.
    """
    oids: list[bytes] = []
    parents: set[bytes] = set()
    walker = git.walk(None, SortMode.NONE)
    for tip in tips:
        target: object = git[tip]
        while isinstance(target, pygit2.Tag):
            oids.append(target.id.raw)
            target = target.get_object()
        if isinstance(target, pygit2.Commit):
            walker.push(target.id)
    for oid in hidden:
        walker.hide(pygit2.Oid(hex=oid))
    for commit in walker:
        oids.append(commit.id.raw)
        parents.update([parent.raw for parent in commit.parent_ids])
    return Walk(oids, parents)


def count(git: pygit2.Repository, oid: str, counted: Callable[[str], int | None]) -> int:
    """Count the commits that ``oid`` reaches, from the known count of an ancestor if possible."""
    ancestor = commit_of(git, oid)
    for _ in range(_MAX_ANCESTORS):
        known = counted(str(ancestor.id))
        if known is not None:
            return known + sum(1 for _ in all_of(git, oid, hide=str(ancestor.id)))
        if not ancestor.parent_ids:
            break
        ancestor = commit_of(git, ancestor.parent_ids[0])
    return sum(1 for _ in all_of(git, oid))


def tree_of(git: pygit2.Repository, oid: str) -> str:
    """Return the tree id of a commit, tag or tree, without a read of the tree."""
    kind = int(git.odb.read_header(oid)[0])
    if kind == ObjectType.TREE:
        return oid
    target = git[oid].peel(None) if kind == ObjectType.TAG else git[oid]
    if isinstance(target, pygit2.Commit):
        return str(target.tree_id)
    return str(target.peel(pygit2.Tree).id)


class _RawTree:
    """A tree that libgit2 cannot parse because it has an unknown mode."""

    def __init__(self, git: pygit2.Repository, tree: str | pygit2.Oid) -> None:
        rows = parse_rows(git.odb.read(tree)[1])
        self._entries = {name: (plain_mode(mode), pygit2.Oid(raw=oid)) for mode, name, oid in rows}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> ModeAndOid | None:
        return self._entries.get(name.encode("utf-8", "surrogateescape"))


def _open_tree(git: pygit2.Repository, tree: str | pygit2.Oid) -> pygit2.Object | _RawTree:
    try:
        return git[tree]
    except (ValueError, pygit2.GitError):
        return _RawTree(git, tree)


def entry_of(git: pygit2.Repository, tree: str | pygit2.Oid, path: str) -> ModeAndOid | None:
    """Return mode and id of the entry at ``path`` below a tree."""
    parts = path.split("/")
    for part in parts[:-1]:
        child = _child(_open_tree(git, tree), part)
        if child is None or child[0] != 0o040000:
            return None
        tree = child[1]
    return _child(_open_tree(git, tree), parts[-1])


def _child(tree: pygit2.Object | _RawTree, name: str) -> ModeAndOid | None:
    if isinstance(tree, _RawTree):
        return tree.get(name)
    try:
        entry = tree[name] if name else None  # type: ignore[index]
    except KeyError:
        return None
    return None if entry is None else (int(entry.filemode), entry.id)


class _CommitQueue:
    """A priority queue of commits, newest first, without duplicates."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, pygit2.Commit]] = []
        self._queued: set[pygit2.Oid] = set()
        self._order = itertools.count()

    def add(self, commit: pygit2.Commit) -> None:
        if commit.id not in self._queued:
            self._queued.add(commit.id)
            heapq.heappush(self._heap, (-commit.commit_time, next(self._order), commit))

    def __iter__(self) -> Iterator[pygit2.Commit]:
        while self._heap:
            commit = heapq.heappop(self._heap)[2]
            self._queued.discard(commit.id)
            yield commit


def touching(git: pygit2.Repository, oid: str, path: str) -> Iterator[pygit2.Commit]:
    """Yield the commits that changed ``path``, as ``git log -- path`` simplifies history."""
    queue = _CommitQueue()
    queue.add(commit_of(git, oid))
    seen: set[pygit2.Oid] = set()
    for commit in queue:
        if commit.id in seen:
            continue
        seen.add(commit.id)
        entry = entry_of(git, commit.tree_id, path)
        parents = [commit_of(git, parent) for parent in commit.parent_ids]
        same = [parent for parent in parents if entry_of(git, parent.tree_id, path) == entry]
        for parent in same[:1] or parents:
            queue.add(parent)
        if not same and (parents or entry):
            yield commit


#: Names to look for, by folder path.
_Names = dict[str, set[str]]


def last_changes(
    git: pygit2.Repository, oid: str, paths: Sequence[str], most: int | None = None
) -> dict[str, Commit]:
    """Return the first commit that :func:`touching` would yield, for all paths in one walk.

    Paths that the first ``most`` commits of the walk did not change are left out.
    """
    changed: dict[str, Commit] = {}
    sought: dict[pygit2.Oid, _Names] = {}
    start = commit_of(git, oid)
    sought[start.id] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        sought[start.id].setdefault(folder, set()).add(name)
    queue, folders = _CommitQueue(), _Folders(git)
    queue.add(start)
    for commit in itertools.islice(queue, most):
        checkpoint()
        names = sought.pop(commit.id)
        parents = [commit_of(git, parent) for parent in commit.parent_ids]
        for parent in parents:
            equal = folders.take_equal(names, commit, parent)
            if equal:
                queue.add(parent)
                _merge(sought.setdefault(parent.id, {}), equal)
        _record(changed, commit, names, folders if not parents else None)
        folders.forget(commit)
    return changed


def _record(
    changed: dict[str, Commit], commit: pygit2.Commit, names: _Names, root_folders: _Folders | None
) -> None:
    """Record this commit for the names that differ from every parent.

    A root commit counts only for the names that it contains.
    """
    record: Commit | None = None
    for folder, folder_names in names.items():
        for name in folder_names:
            if root_folders is not None and not root_folders.contains(commit, folder, name):
                continue
            record = record or Commit.of(commit)
            changed[f"{folder}/{name}" if folder else name] = record


def _merge(into: _Names, names: _Names) -> None:
    for folder, folder_names in names.items():
        into.setdefault(folder, set()).update(folder_names)


class _Folders:
    """Compares the folders of two commits."""

    def __init__(self, git: pygit2.Repository) -> None:
        self._git = git
        self._trees: dict[tuple[pygit2.Oid, str], pygit2.Oid | None] = {}

    def forget(self, commit: pygit2.Commit) -> None:
        for key in [key for key in self._trees if key[0] == commit.id]:
            del self._trees[key]

    def contains(self, commit: pygit2.Commit, folder: str, name: str) -> bool:
        tree = self._tree(commit, folder)
        return tree is not None and _child(_open_tree(self._git, tree), name) is not None

    def take_equal(self, names: _Names, child: pygit2.Commit, parent: pygit2.Commit) -> _Names:
        """Remove from ``names``, and return, those that are equal in both commits."""
        equal: _Names = {}
        for folder in list(names):
            one, other = self._tree(child, folder), self._tree(parent, folder)
            differ = set() if one == other else self._differing(names[folder], one, other)
            alike = names[folder] - differ
            if alike:
                equal[folder] = alike
            if differ:
                names[folder] = differ
            else:
                del names[folder]
        return equal

    def _tree(self, commit: pygit2.Commit, folder: str) -> pygit2.Oid | None:
        key = (commit.id, folder)
        if key not in self._trees:
            entry = (0o040000, commit.tree_id)
            if folder:
                entry = entry_of(self._git, commit.tree_id, folder) or (0, commit.tree_id)
            self._trees[key] = entry[1] if entry[0] == 0o040000 else None
        return self._trees[key]

    def _differing(
        self, names: set[str], one: pygit2.Oid | None, other: pygit2.Oid | None
    ) -> set[str]:
        trees = [None if oid is None else _open_tree(self._git, oid) for oid in (one, other)]
        largest = max([len(tree) for tree in trees if tree is not None])  # type: ignore[arg-type]
        if len(names) * 8 > largest:
            return names & _changed_names(self._git, one, other)
        return {
            name
            for name in names
            if len({None if tree is None else _child(tree, name) for tree in trees}) > 1
        }


def _changed_names(
    git: pygit2.Repository, one: pygit2.Oid | None, other: pygit2.Oid | None
) -> set[str]:
    rows = [set() if oid is None else set(parse_rows(git.odb.read(oid)[1])) for oid in (one, other)]
    return {row[1].decode("utf-8", "surrogateescape") for row in rows[0] ^ rows[1]}
