"""Reading one repository's objects. Names (branches, tags) are not known here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import pygit2
from pygit2.enums import ObjectType

from hubstead import errors
from hubstead.gitstore import history, pointer, tree_rows
from hubstead.gitstore.errors import ObjectMissing
from hubstead.gitstore.handles import Handles
from hubstead.gitstore.history import Commit
from hubstead.gitstore.lru_cache import LruCache
from hubstead.gitstore.pack_draft import PackDraft
from hubstead.gitstore.pointer import Pointer
from hubstead.gitstore.programs import GitProgram
from hubstead.gitstore.tree_rows import TreeRow
from hubstead.ids import EMPTY_TREE, is_oid

T = TypeVar("T")
EntryType = Literal["blob", "tree", "commit", "link"]
_TYPES: dict[int, EntryType] = {
    tree_rows.TREE_MODE: "tree",
    tree_rows.LINK_MODE: "link",
    tree_rows.COMMIT_MODE: "commit",
}


@dataclass(slots=True)
class Entry:
    """A file or folder in a tree. Shared between callers: never change one.

    ``mode`` is git's (``0o100644``, …); ``oid`` names the blob, tree or submodule commit.
    """

    path: str
    mode: int
    oid: str
    repo: GitRepo = field(repr=False, compare=False)

    @property
    def type(self) -> EntryType:
        """Blob, tree, commit (a submodule) or link (a symbolic link)."""
        return _TYPES.get(self.mode, "blob")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Bytes of the file as git has them, looked up now; 0 for folders and submodules."""
        if self.mode in (tree_rows.TREE_MODE, tree_rows.COMMIT_MODE):
            return 0
        return self.repo.blob_size(self.oid)


class BlobFacts(NamedTuple):
    """What is asked most of a blob."""

    size: int  # bytes, as git has it
    pointer: Pointer | None  # what it stands for, if it is an LFS pointer


_CACHED_TREES = 30_000
_CACHED_FACTS = 40_000
_CACHED_TEXT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Caches:
    """What is remembered of objects, which never change; keys begin with the repository's id.

    ``rows`` and ``files`` weigh by entries, ``texts`` by bytes, the others by one.
    """

    rows: LruCache[tuple[str, str], Sequence[TreeRow]]
    files: LruCache[tuple[str, str], Sequence[Entry]]
    counts: LruCache[tuple[str, str], int]
    trees: LruCache[tuple[str, str], str] = field(default_factory=lambda: LruCache(_CACHED_TREES))
    facts: LruCache[tuple[str, str], BlobFacts] = field(
        default_factory=lambda: LruCache(_CACHED_FACTS)
    )
    texts: LruCache[tuple[str, str], bytes] = field(
        default_factory=lambda: LruCache(_CACHED_TEXT_BYTES)
    )

    def forget(self, repo_id: str) -> None:
        """Drop what is remembered of one repository."""
        for cache in (self.rows, self.files, self.counts, self.trees, self.facts, self.texts):
            cache.forget_where(lambda key: key[0] == repo_id)


class GitRepo:
    """The objects of one repository. May be used by several threads.

    Packs that appear while it is open are found, also those of other processes. Every method
    that takes an object id raises :class:`ObjectMissing` when the object is not there or is of
    another kind.
    """

    def __init__(
        self,
        repo_id: str,
        path: Path,
        *,
        handles: Handles,
        caches: Caches,
        program: GitProgram,
        compression: int,
    ) -> None:
        self.repo_id = repo_id
        self.path = path
        self._handles = handles
        self._caches = caches
        self._program = program
        self._compression = compression

    @property
    def _git(self) -> pygit2.Repository:
        return self._handles.get(self.repo_id, self.path)

    def reading(self, oid: str, read: Callable[[pygit2.Repository], T]) -> T:
        """Run ``read``, once more over a fresh handle when it fails.

        A handle that is open remembers packs; it has to be closed before the objects of one that
        is gone are found in another.

        Raises:
            ObjectMissing: naming ``oid``, when it fails again.
        """
        git = self._git
        try:
            return read(git)
        except (KeyError, ValueError, OSError, pygit2.GitError):
            self._handles.let_go(self.repo_id, git)
        try:
            return read(self._git)
        except (KeyError, ValueError, OSError, pygit2.GitError):
            raise ObjectMissing(oid=oid) from None

    # -- single objects ----------------------------------------------------------------------

    def has(self, oid: str) -> bool:
        """Tell whether an object of any kind is there."""
        return is_oid(oid) and bool(self._git.odb.exists(oid))

    def commit(self, oid: str) -> Commit:
        """Return a commit."""
        return self.reading(oid, lambda git: Commit.of(history.commit_of(git, oid)))

    def peel(self, oid: str) -> str:
        """Return the id of the commit that ``oid`` is, or that an annotated tag stands for."""

        def peel(git: pygit2.Repository) -> str:
            return str(git[oid].peel(pygit2.Commit).id)

        return self.reading(oid, peel)

    def peel_tag(self, oid: str) -> str | None:
        """Return the id of what an annotated tag stands for at last, None for other objects."""
        if self._kind(oid) != ObjectType.TAG:
            return None
        return self.reading(oid, lambda git: str(git[oid].peel(None).id))

    def find_short(self, prefix: str) -> str | None:
        """Return the one commit whose id begins with 4 to 39 hex digits, else None."""
        if not 4 <= len(prefix) < 40 or set(prefix) - set("0123456789abcdef"):
            return None
        try:
            found = [str(self._git.expand_id(prefix))]
        except KeyError:
            return None
        except ValueError:  # several: objects of other kinds may share the digits
            output = self._program.run(self.path, "rev-parse", f"--disambiguate={prefix}")
            found = output.decode().split()
        commits = [oid for oid in found if self._kind(oid) == ObjectType.COMMIT]
        return commits[0] if len(commits) == 1 else None

    def _kind(self, oid: str) -> int:
        return self.reading(oid, lambda git: int(git.odb.read_header(oid)[0]))

    def blob_size(self, oid: str) -> int:
        """Return a blob's size in bytes, from its header: the content is not read."""
        return self.reading(oid, lambda git: int(git.odb.read_header(oid)[1]))

    def blob_facts(self, oid: str) -> BlobFacts:
        """Return a blob's size and what it points to; remembered."""
        key = (self.repo_id, oid)
        found = self._caches.facts.get(key)
        if found is None:
            size = self.blob_size(oid)
            small = size <= pointer.MAX_BYTES
            found = BlobFacts(size, pointer.parse(self.blob(oid)) if small else None)
            self._caches.facts.put(key, found)
        return found

    def blob(self, oid: str, max_bytes: int | None = None) -> bytes:
        """Return a blob's content.

        Raises:
            errors.TooLarge: when it has more than ``max_bytes``; it is not read then.
        """
        if max_bytes is not None and self.blob_size(oid) > max_bytes:
            raise errors.TooLarge(what=f"the object {oid}", limit=max_bytes, setting="of this call")
        return self._read(oid, ObjectType.BLOB)

    def _read(self, oid: str, kind: int) -> bytes:
        def read(git: pygit2.Repository) -> bytes:
            found, data = git.odb.read(oid)
            if found != kind:
                raise KeyError(oid)
            return bytes(data)

        return self.reading(oid, read)

    # -- trees -------------------------------------------------------------------------------

    def rows(self, tree: str) -> Sequence[TreeRow]:
        """Return a tree's rows as git stores them, in git's order."""
        if tree == EMPTY_TREE:
            return ()
        key = (self.repo_id, tree)
        found = self._caches.rows.get(key)
        if found is None:
            found = tree_rows.parse_rows(self._read(tree, ObjectType.TREE))
            self._caches.rows.put(key, found, weight=len(found))
        return found

    def tree_of(self, oid: str) -> str:
        """Return the tree of a commit (or tag); a tree's id stands for itself."""
        if oid == EMPTY_TREE:
            return oid
        key = (self.repo_id, oid)
        tree = self._caches.trees.get(key)
        if tree is None:
            tree = self.reading(oid, lambda git: history.tree_of(git, oid))
            self._caches.trees.put(key, tree)
        return tree

    def entry(self, oid: str, path: str) -> Entry | None:
        """Return the file or folder at ``path`` below a commit or tree; ``""`` is its root."""
        tree = self.tree_of(oid)
        if not path:
            return Entry("", tree_rows.TREE_MODE, tree, self)
        if tree == EMPTY_TREE:
            return None

        def find(git: pygit2.Repository) -> Entry | None:
            found = history.entry_of(git, tree, path)
            return found and Entry(path, found[0], str(found[1]), self)

        return self.reading(tree, find)

    def tree_page(
        self,
        tree: str,
        folder: str = "",
        *,
        recursive: bool = False,
        folders_first: bool = False,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        """Return up to ``limit`` entries of a folder in git's order, full paths.

        Args:
            tree: Id of the root tree (or of a commit).
            folder: Path of the folder below it.
            recursive: Also what is below its folders; each folder comes before its content.
            folders_first: Folders before files, each in git's order; not if ``recursive``.
            after: Path of the last entry of the page before; what lies before is not read. With
                ``folders_first`` a slash is behind it if that was a folder.
            limit: Most entries to return.

        Raises:
            errors.EntryNotFound: when there is no folder of this path.
            errors.InvalidInput: when ``after`` is not below the folder.
        """
        root = self.entry(tree, folder)
        if root is None or root.type != "tree":
            raise errors.EntryNotFound(reason=f"There is no folder {folder}")
        prefix = f"{folder}/" if folder else ""
        parts = _parts_after(after, prefix)
        if folders_first and not recursive:
            behind = b"/".join(parts) if after is not None else None
            rows = tree_rows.folders_first(self.rows(root.oid), behind)
            found: Iterator[tuple[bytes, tree_rows.TreeRow]] = ((b"", row) for row in rows)
        else:
            found = tree_rows.walk(self.rows, root.oid, recursive=recursive, after=parts)
        return [self._entry(prefix, *row) for row in itertools.islice(found, limit)]

    def walk_files(self, oid: str) -> Sequence[Entry]:
        """Return all files (links too, submodules not) of a commit or tree, in git's order."""
        key = (self.repo_id, self.tree_of(oid))
        found = self._caches.files.get(key)
        if found is None:
            walk = tree_rows.walk(self.rows, key[1], recursive=True)
            found = [
                self._entry("", folder, row)
                for folder, row in walk
                if not tree_rows.is_tree(row[0])
                and tree_rows.plain_mode(row[0]) != tree_rows.COMMIT_MODE
            ]
            self._caches.files.put(key, found, weight=len(found) + 1)
        return found

    def _entry(self, prefix: str, folder: bytes, row: TreeRow) -> Entry:
        mode, name, oid = row
        path = prefix + (folder + name).decode("utf-8", "surrogateescape")
        return Entry(path, tree_rows.plain_mode(mode), oid.hex(), self)

    # -- what callers derive from objects ----------------------------------------------------

    def recall(self, name: str) -> bytes | None:
        """Return what :meth:`remember` was given under this name, unless it was forgotten."""
        return self._caches.texts.get((self.repo_id, name))

    def remember(self, name: str, text: bytes) -> None:
        """Keep something made from objects alone for a while.

        Args:
            name: Says what it is and names the object it was made from by its id.
            text: What was made.
        """
        self._caches.texts.put((self.repo_id, name), text, weight=len(text) + 1)

    # -- history -----------------------------------------------------------------------------

    def log(
        self, oid: str, skip: int = 0, limit: int = 50, path: str | None = None
    ) -> list[Commit]:
        """Return commits as ``git log`` orders them, newest first, without what is not asked.

        Args:
            oid: The commit to start at.
            skip: How many to leave out at the start.
            limit: Most commits to return.
            path: Only those that changed this file or folder, by git's default simplification
                of history: at a merge that took the path from one side, only that side counts.
        """

        def read(git: pygit2.Repository) -> list[Commit]:
            found = history.touching(git, oid, path) if path else history.all_of(git, oid)
            return [Commit.of(commit) for commit in itertools.islice(found, skip, skip + limit)]

        return self.reading(oid, read)

    def count(self, oid: str) -> int:
        """Return how many commits there are up to and with this one."""
        key = (self.repo_id, oid)
        found = self._caches.counts.get(key)
        if found is None:
            found = self.reading(oid, lambda git: history.count(git, oid, self._counted))
            self._caches.counts.put(key, found)
        return found

    def _counted(self, oid: str) -> int | None:
        return self._caches.counts.get((self.repo_id, oid))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor, or None when the histories share nothing."""
        found = self.reading(one, lambda git: git.merge_base(one, other))
        return None if found is None else str(found)

    def last_commits(self, oid: str, paths: Iterable[str]) -> dict[str, Commit]:
        """Return for each path (file or folder) the commit that last changed it up to ``oid``.

        The same answer as ``git log -1 OID -- PATH``; a path that never was is left out.
        """
        wanted = list(paths)
        return self.reading(oid, lambda git: history.last_changes(git, oid, wanted))

    # -- differences -------------------------------------------------------------------------

    def diff_names(
        self, old: str | None, new: str | None
    ) -> list[tuple[str, str | None, str | None]]:
        """Return (path, old id, new id) of the files that differ between two trees or commits.

        An id is None where the file is not there; renames are a removal and an addition.
        """
        trees = [None if oid is None else self.tree_of(oid) for oid in (old, new)]
        found = tree_rows.changes(self.rows, *trees)
        named = [(path.decode("utf-8", "surrogateescape"), was, now) for path, was, now in found]
        return sorted(named, key=lambda change: change[0])

    def diff_text(
        self, old: str | None, new: str, *, max_bytes: int = 10 << 20, paths: Sequence[str] = ()
    ) -> Iterator[bytes]:
        """Yield the unified diff of two commits or trees; None is the empty tree.

        It runs a git process, and ends after ``max_bytes`` wherever that falls.
        """
        start = EMPTY_TREE if old is None else self.tree_of(old)
        end = self.tree_of(new)
        options = ["--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "-M"]
        specs = [f":(literal){path}" for path in paths]
        arguments = ["diff", *options, start, end, "--", *specs]
        return self._program.stream(self.path, *arguments, max_bytes=max_bytes)

    # -- writing -----------------------------------------------------------------------------

    def draft(self) -> PackDraft:
        """Begin a pack of new objects."""
        return PackDraft(
            self.path / "objects" / "pack", level=self._compression, on_finish=self._learn
        )

    def _learn(
        self, pack: str, trees: Mapping[str, Sequence[TreeRow]], commits: Mapping[str, str]
    ) -> None:
        """Remember what was just written: the next change most likely goes onto it.

        To find an object of a new pack, libgit2 looks through the whole folder of packs.
        """
        self._handles.grown(self.repo_id, pack)
        for tree, rows in trees.items():
            self._caches.rows.put((self.repo_id, tree), rows, weight=len(rows))
            self._caches.trees.put((self.repo_id, tree), tree)
        for commit, tree in commits.items():
            self._caches.trees.put((self.repo_id, commit), tree)


def _parts_after(after: str | None, prefix: str) -> list[bytes]:
    if after is None:
        return []
    if not after.startswith(prefix):
        raise errors.InvalidInput(reason="the cursor does not belong to this folder")
    return after[len(prefix) :].encode("utf-8", "surrogateescape").split(b"/")
