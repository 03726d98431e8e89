"""Applies edits to a tree: reads the affected folders and writes the changed ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hubstead import errors
from hubstead.gitstore.pack_draft import PackDraft
from hubstead.gitstore.repo import GitRepo
from hubstead.gitstore.tree_rows import FileMode, TreeRow, file_mode, is_tree, order, parse_rows
from hubstead.ids import EMPTY_TREE, clash_reason, fold_path

_FOLDER = b"40000"


@dataclass(frozen=True, slots=True)
class PutFile:
    """Puts a blob at the path.

    Without a ``mode`` the file is executable if the replaced file is; if it replaces none, the
    file at ``mode_of`` decides.
    """

    oid: str
    mode: FileMode | None = None
    mode_of: str | None = None


@dataclass(frozen=True, slots=True)
class PutTree:
    """Puts a tree at the path, in place of any folder there; copies a folder."""

    oid: str


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """Removes the file or the whole folder at the path."""


Edit = PutFile | PutTree | RemoveEntry


def edit_tree(
    repo: GitRepo,
    draft: PackDraft,
    base_tree: str | None,
    edits: Mapping[str, Edit] | Iterable[tuple[str, Edit]],
    *,
    max_entries: int = 10_000,
    refuse_case_clashes: bool = False,
) -> str:
    """Apply edits in order and return the id of the resulting root tree.

    New trees go into the draft, even if another pack contains them: only the folders of the base
    tree and of the draft are looked up.

    Args:
        repo: The repository with the base tree.
        draft: Receives the new trees; may contain the base tree.
        base_tree: The tree to start from, None for an empty one.
        edits: Edits by path (checked with ``ids.check_path``). Their ids must be in the draft or
            reachable from objects that are permanently in the repository.
        max_entries: Maximum number of names in a folder; a larger existing folder may not grow.
        refuse_case_clashes: Refuse a new name if a sibling in the result differs from it only in
            case or in the Unicode form of its characters.

    Raises:
        errors.EntryNotFound: the entry to remove does not exist.
        errors.InvalidInput: a file blocks the path of a folder, or the reverse.
        errors.InvalidPath: a new path breaks a rule.
        errors.TooLarge: a folder would have too many entries.
    """
    editor = _Editor(repo, draft, max_entries, refuse_case_clashes)
    root = _Folder("", base_tree or EMPTY_TREE)
    for path, edit in edits.items() if isinstance(edits, Mapping) else edits:
        if isinstance(edit, RemoveEntry):
            editor.remove(root, path)
        else:
            editor.put(root, path, edit)
    return editor.write(root)


class _Folder:
    """A folder during the edit; its rows are read lazily."""

    __slots__ = ("added", "changed", "items", "oid", "path")

    def __init__(self, path: str, oid: str) -> None:
        self.path = path
        self.oid = oid
        self.items: dict[bytes, TreeRow | _Folder] | None = None
        self.added: set[bytes] = set()
        self.changed = False


class _Editor:
    def __init__(
        self, repo: GitRepo, draft: PackDraft, max_entries: int, refuse_case_clashes: bool
    ) -> None:
        self._repo = repo
        self._draft = draft
        self._max_entries = max_entries
        self._refuse_case_clashes = refuse_case_clashes

    def _items(self, folder: _Folder) -> dict[bytes, TreeRow | _Folder]:
        if folder.items is None:
            folder.items = {row[1]: row for row in self._rows(folder.oid)}
        return folder.items

    def _rows(self, tree: str) -> Sequence[TreeRow]:
        if tree != EMPTY_TREE and self._draft.contains(tree):
            return parse_rows(self._draft.get(tree)[1])
        return self._repo.rows(tree)

    def _subfolder(self, folder: _Folder, name: bytes) -> _Folder | None:
        """Return the subfolder ``name``, or None if it is a file or missing."""
        items = self._items(folder)
        item = items.get(name)
        if isinstance(item, tuple) and is_tree(item[0]):
            item = items[name] = _Folder(_join(folder.path, name), item[2].hex())
        return item if isinstance(item, _Folder) else None

    def put(self, root: _Folder, path: str, edit: PutFile | PutTree) -> None:
        *parents, name = _parts(path)
        folder = root
        for part in parents:
            folder.changed = True
            folder = self._enter(folder, part, path)
        folder.changed = True
        if isinstance(edit, PutTree):
            self._put_tree(folder, name, path, edit)
            return
        items = self._items(folder)
        if self._subfolder(folder, name) is not None:
            raise errors.InvalidInput(reason=f"{path} is a folder: a file cannot take its place")
        if name not in items:
            folder.added.add(name)
        mode = edit.mode or self._mode(root, items.get(name), edit.mode_of)
        items[name] = (b"%o" % mode, name, bytes.fromhex(edit.oid))

    def _mode(self, root: _Folder, replaced: TreeRow | _Folder | None, mode_of: str | None) -> int:
        if replaced is None and mode_of is not None:
            replaced = self._row_at(root, mode_of)
        mode = file_mode(int(replaced[0], 8)) if isinstance(replaced, tuple) else 0
        return 0o100755 if mode == 0o100755 else 0o100644

    def _row_at(self, root: _Folder, path: str) -> TreeRow | _Folder | None:
        *parents, name = _parts(path)
        folder: _Folder | None = root
        for part in parents:
            folder = folder and self._subfolder(folder, part)
        return self._items(folder).get(name) if folder else None

    def _enter(self, folder: _Folder, name: bytes, path: str) -> _Folder:
        """Return the subfolder ``name``; create it if the name is free."""
        subfolder = self._subfolder(folder, name)
        if subfolder is None:
            subfolder_path = _join(folder.path, name)
            if name in self._items(folder):
                raise errors.InvalidInput(
                    reason=f"{subfolder_path} is a file: {path} cannot be put below it"
                )
            subfolder = self._items(folder)[name] = _Folder(subfolder_path, EMPTY_TREE)
            folder.added.add(name)
        return subfolder

    def _put_tree(self, folder: _Folder, name: bytes, path: str, edit: PutTree) -> None:
        items = self._items(folder)
        if name not in items:
            folder.added.add(name)
        elif self._subfolder(folder, name) is None:
            raise errors.InvalidInput(reason=f"{path} is a file: a folder cannot take its place")
        items[name] = _Folder(path, edit.oid)

    def remove(self, root: _Folder, path: str) -> None:
        *parents, name = _parts(path)
        chain = [root]
        for part in parents:
            subfolder = self._subfolder(chain[-1], part)
            if subfolder is None:
                raise _not_found(path)
            chain.append(subfolder)
        if name not in self._items(chain[-1]):
            raise _not_found(path)
        for folder, part in zip(reversed(chain), (name, *reversed(parents)), strict=True):
            del self._items(folder)[part]
            folder.added.discard(part)
            if self._items(folder):
                break  # a folder that is not empty stays, as do its parents
        for folder in chain:
            folder.changed = True

    # -- writing -----------------------------------------------------------------------------

    def write(self, root: _Folder) -> str:
        tree = self._write_folder(root)
        return tree or self._draft.tree([])

    def _write_folder(self, folder: _Folder) -> str | None:
        """Write a changed folder; return the tree's id, None for an empty folder."""
        if not folder.changed:
            return None if folder.oid == EMPTY_TREE else folder.oid
        rows = list(self._finished_rows(folder))
        if not rows:
            return None
        if folder.added:  # without new names the order is unchanged
            rows.sort(key=order)
            self._check_new_names(folder, [row[1] for row in rows])
        if not self._draft.contains(folder.oid) and rows == list(self._repo.rows(folder.oid)):
            return folder.oid
        return self._draft.tree(rows)

    def _finished_rows(self, folder: _Folder) -> Iterator[TreeRow]:
        for name, item in self._items(folder).items():
            if isinstance(item, tuple):
                yield item
                continue
            tree = self._write_folder(item)
            if tree is not None:
                yield _FOLDER, name, bytes.fromhex(tree)

    def _check_new_names(self, folder: _Folder, names: list[bytes]) -> None:
        if len(names) > self._max_entries:
            raise errors.TooLarge(
                what=f"the folder {folder.path or '/'}",
                limit=self._max_entries,
                unit="entries",
                setting="max_folder_entries",
            )
        if self._refuse_case_clashes:
            _refuse_clash(folder, names)


def _refuse_clash(folder: _Folder, names: list[bytes]) -> None:
    # One call for all names: no name contains NUL, and no character composes with it.
    spelled = b"\0".join(names).decode("utf-8", "surrogateescape")
    folded = fold_path(spelled).split("\0")
    if len(set(folded)) == len(names):
        return
    seen: dict[str, str] = {}
    for key, name in zip(folded, spelled.split("\0"), strict=True):
        other = seen.setdefault(key, name)
        if other != name and folder.added.intersection((_encode(name), _encode(other))):
            new, old = (name, other) if _encode(name) in folder.added else (other, name)
            raise errors.InvalidPath(
                path=_join(folder.path, _encode(new)),
                reason=clash_reason(old, new),
            )


def _parts(path: str) -> list[bytes]:
    return _encode(path).split(b"/")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _join(folder: str, name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    return f"{folder}/{text}" if folder else text


def _not_found(path: str) -> errors.EntryNotFound:
    return errors.EntryNotFound(reason=f"A file with this name doesn't exist: {path}")
