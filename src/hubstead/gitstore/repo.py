"""Reads the objects of one repository. Refs are rows in the database and unknown here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import pygit2
from pygit2.enums import ObjectType, SortMode

from hubstead import errors
from hubstead.gitstore import history, pointer, tree_rows
from hubstead.gitstore.errors import ObjectMissing
from hubstead.gitstore.handles import Handles
from hubstead.gitstore.history import Commit, Walk
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
    """An entry of a tree. Callers share it and must not change it.

    ``mode`` is git's (``0o100644``, …); ``oid`` is the id of the blob, tree or submodule commit.
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
        """Size of the blob in bytes, not cached; 0 for folders and submodules."""
        if self.mode in (tree_rows.TREE_MODE, tree_rows.COMMIT_MODE):
            return 0
        return self.repo.blob_size(self.oid)


class BlobFacts(NamedTuple):
    """The cached facts of a blob."""

    size: int  # of the blob, in bytes
    pointer: Pointer | None  # the parsed content, if the blob is an LFS pointer


_CACHED_TREES = 30_000
_CACHED_FACTS = 40_000
_CACHED_TEXT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Caches:
    """Caches of facts about immutable objects; keys begin with the repository's id.

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
        """Drop all entries of one repository."""
        for cache in (self.rows, self.files, self.counts, self.trees, self.facts, self.texts):
            cache.forget_where(lambda key: key[0] == repo_id)


class GitRepo:
    """The objects of one repository. Thread-safe.

    It sees packs that this or another process adds while it is open. Every method that takes an
    object id raises :class:`ObjectMissing` if the object is missing or of another type.
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

    def with_handle(self, oid: str, read: Callable[[pygit2.Repository], T]) -> T:
        """Run ``read``; on failure retry it once with a new handle.

        An open handle remembers its packs. After a repack it must be closed before libgit2 looks
        for the objects of a removed pack in the new one.

        Raises:
            ObjectMissing: of ``oid``, if the retry fails, too.
        """
        git = self._git
        try:
            return read(git)
        except (KeyError, ValueError, OSError, pygit2.GitError):
            self._handles.close(self.repo_id, git)
        try:
            return read(self._git)
        except (KeyError, ValueError, OSError, pygit2.GitError):
            raise ObjectMissing(oid=oid) from None

    # -- single objects ----------------------------------------------------------------------

    def has(self, oid: str) -> bool:
        """Tell whether an object of any type exists."""
        return is_oid(oid) and bool(self._git.odb.exists(oid))

    def commit(self, oid: str) -> Commit:
        """Return a commit."""
        return self.with_handle(oid, lambda git: Commit.of(history.commit_of(git, oid)))

    def peel(self, oid: str) -> str:
        """Return the id of a commit, or of the commit that an annotated tag refers to."""

        def peel(git: pygit2.Repository) -> str:
            return str(git[oid].peel(pygit2.Commit).id)

        return self.with_handle(oid, peel)

    def peel_tag(self, oid: str) -> str | None:
        """Return the id of the object that an annotated tag peels to; None for other objects."""
        if self._kind(oid) != ObjectType.TAG:
            return None
        return self.with_handle(oid, lambda git: str(git[oid].peel(None).id))

    def find_short(self, prefix: str) -> str | None:
        """Resolve an abbreviated commit id of 4 to 39 hex digits; None if unknown or ambiguous."""
        if not 4 <= len(prefix) < 40 or set(prefix) - set("0123456789abcdef"):
            return None
        try:
            oids = [str(self._git.expand_id(prefix))]
        except KeyError:
            return None
        except ValueError:  # ambiguous: objects of other types may share the prefix
            output = self._program.run(self.path, "rev-parse", f"--disambiguate={prefix}")
            oids = output.decode().split()
        commits = [oid for oid in oids if self._kind(oid) == ObjectType.COMMIT]
        return commits[0] if len(commits) == 1 else None

    def _kind(self, oid: str) -> int:
        return self.with_handle(oid, lambda git: int(git.odb.read_header(oid)[0]))

    def blob_size(self, oid: str) -> int:
        """Return a blob's size in bytes, without a read of the content."""
        return self.with_handle(oid, lambda git: int(git.odb.read_header(oid)[1]))

    def blob_facts(self, oid: str) -> BlobFacts:
        """Return a blob's size and LFS pointer; cached."""
        key = (self.repo_id, oid)
        facts = self._caches.facts.get(key)
        if facts is None:
            size = self.blob_size(oid)
            small = size <= pointer.MAX_BYTES
            facts = BlobFacts(size, pointer.parse(self.blob(oid)) if small else None)
            self._caches.facts.put(key, facts)
        return facts

    def blob(self, oid: str, max_bytes: int | None = None) -> bytes:
        """Return a blob's content.

        Raises:
            errors.TooLarge: it is larger than ``max_bytes``; checked before the read.
        """
        if max_bytes is not None and self.blob_size(oid) > max_bytes:
            raise errors.TooLarge(what=f"the object {oid}", limit=max_bytes, setting="of this call")
        return self._read(oid, ObjectType.BLOB)

    def _read(self, oid: str, kind: int) -> bytes:
        def read(git: pygit2.Repository) -> bytes:
            actual_kind, data = git.odb.read(oid)
            if actual_kind != kind:
                raise KeyError(oid)
            return bytes(data)

        return self.with_handle(oid, read)

    # -- trees -------------------------------------------------------------------------------

    def rows(self, tree: str) -> Sequence[TreeRow]:
        """Return the stored rows of a tree, in git's order."""
        if tree == EMPTY_TREE:
            return ()
        key = (self.repo_id, tree)
        rows = self._caches.rows.get(key)
        if rows is None:
            rows = tree_rows.parse_rows(self._read(tree, ObjectType.TREE))
            self._caches.rows.put(key, rows, weight=len(rows))
        return rows

    def tree_of(self, oid: str) -> str:
        """Return the tree id of a commit, tag or tree."""
        if oid == EMPTY_TREE:
            return oid
        key = (self.repo_id, oid)
        tree = self._caches.trees.get(key)
        if tree is None:
            tree = self.with_handle(oid, lambda git: history.tree_of(git, oid))
            self._caches.trees.put(key, tree)
        return tree

    def entry(self, oid: str, path: str) -> Entry | None:
        """Return the entry at ``path`` below a commit or tree; ``""`` is the root."""
        tree = self.tree_of(oid)
        if not path:
            return Entry("", tree_rows.TREE_MODE, tree, self)
        if tree == EMPTY_TREE:
            return None

        def find(git: pygit2.Repository) -> Entry | None:
            entry = history.entry_of(git, tree, path)
            return entry and Entry(path, entry[0], str(entry[1]), self)

        return self.with_handle(tree, find)

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
        """Return up to ``limit`` entries of a folder in git's order, with full paths.

        Args:
            tree: Id of the root tree (or of a commit).
            folder: Path of the folder below the tree.
            recursive: Include all descendants; a folder precedes its content.
            folders_first: Folders before files, both in git's order; ignored if ``recursive``.
            after: Path of the last entry of the previous page; earlier trees are not read. With
                ``folders_first`` the path of a folder ends with a slash.
            limit: Maximum number of entries.

        Raises:
            errors.EntryNotFound: the folder does not exist.
            errors.InvalidInput: ``after`` is not below the folder.
        """
        root = self.entry(tree, folder)
        if root is None or root.type != "tree":
            raise errors.EntryNotFound(reason=f"There is no folder {folder}")
        prefix = f"{folder}/" if folder else ""
        parts = _parts_after(after, prefix)
        if folders_first and not recursive:
            cursor = b"/".join(parts) if after is not None else None
            ordered = tree_rows.folders_first(self.rows(root.oid), cursor)
            rows: Iterator[tuple[bytes, tree_rows.TreeRow]] = ((b"", row) for row in ordered)
        else:
            rows = tree_rows.walk(self.rows, root.oid, recursive=recursive, after=parts)
        return [self._entry(prefix, *row) for row in itertools.islice(rows, limit)]

    def walk_files(self, oid: str) -> Sequence[Entry]:
        """Return all files and links, without submodules, of a commit or tree, in git's order."""
        key = (self.repo_id, self.tree_of(oid))
        files = self._caches.files.get(key)
        if files is None:
            walk = tree_rows.walk(self.rows, key[1], recursive=True)
            files = [
                self._entry("", folder, row)
                for folder, row in walk
                if not tree_rows.is_tree(row[0])
                and tree_rows.plain_mode(row[0]) != tree_rows.COMMIT_MODE
            ]
            self._caches.files.put(key, files, weight=len(files) + 1)
        return files

    def _entry(self, prefix: str, folder: bytes, row: TreeRow) -> Entry:
        mode, name, oid = row
        path = prefix + (folder + name).decode("utf-8", "surrogateescape")
        return Entry(path, tree_rows.plain_mode(mode), oid.hex(), self)

    # -- derived texts -----------------------------------------------------------------------

    def recall(self, name: str) -> bytes | None:
        """Return the text that :meth:`remember` cached under this name, or None."""
        return self._caches.texts.get((self.repo_id, name))

    def remember(self, name: str, text: bytes) -> None:
        """Cache a text that is derived from immutable objects only.

        Args:
            name: The cache key: the type of the text, and the id of its source object.
            text: The derived text.
        """
        self._caches.texts.put((self.repo_id, name), text, weight=len(text) + 1)

    # -- history -----------------------------------------------------------------------------

    def log(
        self,
        oid: str,
        skip: int = 0,
        limit: int = 50,
        path: str | None = None,
        hide: str | None = None,
    ) -> list[Commit]:
        """Return one page of the commits in the order of ``git log``, newest first.

        Args:
            oid: The commit to start at.
            skip: Number of commits to skip at the start.
            limit: Maximum number of commits.
            path: Return only commits that changed this file or folder, by git's default history
                simplification: a merge that took the path from one parent follows only that one.
            hide: Leave out the commits that this one reaches; not with ``path``.
        """

        def read(git: pygit2.Repository) -> list[Commit]:
            commits = history.touching(git, oid, path) if path else history.all_of(git, oid, hide)
            return [Commit.of(commit) for commit in itertools.islice(commits, skip, skip + limit)]

        return self.with_handle(oid, read)

    def log_between(self, oid: str, hidden: Sequence[str], *, limit: int) -> list[Commit]:
        """Return up to ``limit`` commits that ``oid`` reaches and ``hidden`` do not, newest first.

        Parents come after their children.
        """

        def read(git: pygit2.Repository) -> list[Commit]:
            walker = git.walk(oid, SortMode.TOPOLOGICAL)
            for other in hidden:
                walker.hide(other)
            return [Commit.of(commit) for commit in itertools.islice(walker, limit)]

        return self.with_handle(oid, read)

    def count(self, oid: str) -> int:
        """Return the number of commits that ``oid`` reaches, itself included."""
        key = (self.repo_id, oid)
        count = self._caches.counts.get(key)
        if count is None:
            count = self.with_handle(oid, lambda git: history.count(git, oid, self._cached_count))
            self._caches.counts.put(key, count)
        return count

    def _cached_count(self, oid: str) -> int | None:
        return self._caches.counts.get((self.repo_id, oid))

    def walk_commits(self, tips: Sequence[str], hidden: Sequence[str] = ()) -> Walk:
        """Visit the commits that ``tips`` reach and ``hidden`` do not, and the tags at the tips."""
        return self.with_handle(tips[0], lambda git: history.walk_commits(git, tips, hidden))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor, or None if the histories are unrelated."""
        base = self.with_handle(one, lambda git: git.merge_base(one, other))
        return None if base is None else str(base)

    def last_commits(
        self, oid: str, paths: Iterable[str], most: int | None = None
    ) -> dict[str, Commit]:
        """Return, by path of a file or folder, the last commit up to ``oid`` that changed it.

        The result equals ``git log -1 OID -- PATH``; it omits paths that never existed, and those
        that none of the first ``most`` commits changed.
        """
        wanted = list(paths)
        return self.with_handle(oid, lambda git: history.last_changes(git, oid, wanted, most))

    # -- differences -------------------------------------------------------------------------

    def diff_names(
        self, old: str | None, new: str | None
    ) -> list[tuple[str, str | None, str | None]]:
        """Return (path, old id, new id) of all files that differ between two trees or commits.

        The id of a missing file is None; a rename is a removal and an addition.
        """
        trees = [None if oid is None else self.tree_of(oid) for oid in (old, new)]
        changes = [
            (path.decode("utf-8", "surrogateescape"), old_id, new_id)
            for path, old_id, new_id in tree_rows.changes(self.rows, *trees)
        ]
        return sorted(changes, key=lambda change: change[0])

    def diff_text(
        self,
        old: str | None,
        new: str,
        *,
        max_bytes: int = 10 << 20,
        paths: Sequence[str] = (),
        renames: bool = True,
        context: int = 3,
    ) -> Iterator[bytes]:
        """Yield the unified diff of two commits or trees; None is the empty tree.

        It runs a git process, and truncates the output at ``max_bytes``.

        Args:
            old: Id of a commit or tree.
            new: Id of a commit or tree.
            max_bytes: The length of the output.
            paths: The files to compare; all if there are none.
            renames: Whether similar files under another name count as renamed.
            context: Unchanged lines around a change.
        """
        start = EMPTY_TREE if old is None else self.tree_of(old)
        end = self.tree_of(new)
        options = ["--no-color", "--no-ext-diff", "--no-textconv", "--full-index", f"-U{context}"]
        options.append("-M" if renames else "--no-renames")
        specs = [f":(literal){path}" for path in paths]
        arguments = ["diff", *options, start, end, "--", *specs]
        return self._program.stream(self.path, *arguments, max_bytes=max_bytes)

    def blame_text(self, oid: str, path: str, *, max_bytes: int) -> Iterator[bytes]:
        """Yield what ``git blame --incremental`` writes of a file; it runs a git process."""
        return self._program.stream(
            self.path, "blame", "--incremental", oid, "--", path, max_bytes=max_bytes
        )

    # -- writing -----------------------------------------------------------------------------

    def draft(self) -> PackDraft:
        """Begin a pack of new objects."""
        return PackDraft(
            self.path / "objects" / "pack", level=self._compression, on_finish=self._cache_written
        )

    def _cache_written(
        self, pack: str, trees: Mapping[str, Sequence[TreeRow]], commits: Mapping[str, str]
    ) -> None:
        """Cache the new trees: the next commit most likely changes them.

        To look up an object of a new pack, libgit2 scans the whole folder of packs.
        """
        self._handles.add_pack(self.repo_id, pack)
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
