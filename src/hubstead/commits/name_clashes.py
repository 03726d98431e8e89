"""Names that differ only in case or Unicode form, where ``refuse_case_clashes`` forbids them.

`gitstore.edit_tree` checks the result of a commit; this is the check of paths that are still to
come (before an upload) and of the trees of a push.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hubstead.errors import InvalidPath
from hubstead.gitstore import GitRepo
from hubstead.ids import EMPTY_TREE, clash_reason, fold_path

#: The names in a folder by their folded form; more than one only where they clash already.
_Names = dict[str, list[str]]


def check_new_paths(git: GitRepo, tree: str | None, paths: Iterable[str]) -> None:
    """Refuse files whose names would clash with those of a tree, or with each other.

    Args:
        git: The repository's objects.
        tree: The tree of the parent commit; None if there is none.
        paths: The files to come.

    Raises:
        InvalidPath: names both.
    """
    folders: dict[str, _Names] = {}
    for path in paths:
        parts = path.split("/")
        for depth, name in enumerate(parts):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders[folder] = _names_in(git, tree, folder)
            same = folders[folder].setdefault(fold_path(name), [])
            if same and name not in same:
                here, other = ("/".join([*parts[:depth], each]) for each in (name, same[0]))
                raise InvalidPath(path=path, reason=clash_reason(other, here))
            same.append(name)


def _names_in(git: GitRepo, tree: str | None, folder: str) -> _Names:
    entry = git.entry(tree, folder) if tree and tree != EMPTY_TREE else None
    names: _Names = {}
    for row in git.rows(entry.oid) if entry is not None and entry.type == "tree" else ():
        name = row[1].decode("utf-8", "surrogateescape")
        names.setdefault(fold_path(name), []).append(name)
    return names


def new_clashes(
    paths: Iterable[bytes], earlier: Callable[[], Iterable[bytes]]
) -> Iterator[InvalidPath]:
    """Yield an error for each of ``paths`` that clashes with one before it.

    Args:
        paths: Every file and folder of a tree.
        earlier: Returns those of the tree before; a clash that is among them stops nobody.
    """
    clashes = _clashes(paths)
    if not clashes:
        return
    known = _clashes(earlier())
    for path, present in clashes.items():
        if path not in known:
            yield InvalidPath(path=path, reason=clash_reason(present, path))


def _clashes(paths: Iterable[bytes]) -> dict[str, str]:
    """Return, by path, the first path that it clashes with; of a folder only the folder."""
    seen: dict[str, str] = {}
    clashes: dict[str, str] = {}
    for raw in paths:
        path = raw.decode("utf-8", "surrogateescape")
        present = seen.setdefault(fold_path(path), path)
        if present != path and path.rpartition("/")[0] == present.rpartition("/")[0]:
            clashes[path] = present
    return clashes
