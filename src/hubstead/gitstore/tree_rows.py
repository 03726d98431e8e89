"""The rows of tree objects: parsing, modes, order, walks and differences."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from hubstead.admission import checkpoint

TREE_MODE = 0o040000
LINK_MODE = 0o120000
COMMIT_MODE = 0o160000

_KIND = 0o170000
#: The modes of files: plain, executable, symbolic link.
FileMode = Literal[0o100644, 0o100755, 0o120000]

#: One row of a tree object: mode in octal digits, name, object id in 20 bytes.
TreeRow = tuple[bytes, bytes, bytes]
#: Returns the rows of a tree by its hexadecimal id.
TreeRows = Callable[[str], Sequence[TreeRow]]

_ROW = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
_TREE = re.compile(rb"(?:[0-7]+ [^\0]++\0.{20})*+", re.DOTALL)
_TREE_MODES = (b"40000", b"040000")
_OTHER_MODES = frozenset((b"100644", b"100755", b"100664", b"120000", b"160000"))


def parse_rows(data: bytes) -> list[TreeRow]:
    """Parse a tree object.

    Raises:
        ValueError: the data is not a tree object.
    """
    if not _TREE.fullmatch(data):
        raise ValueError("not a tree object")
    rows: list[TreeRow] = _ROW.findall(data)
    return rows


def is_tree(mode: bytes) -> bool:
    """Tell whether a row of this mode is a folder; like git, look only at the file type bits."""
    return mode in _TREE_MODES or (mode not in _OTHER_MODES and plain_mode(mode) == TREE_MODE)


def plain_mode(mode: bytes) -> int:
    """Return the canonical mode of a row of this mode.

    Old gits wrote 100664 and 040000. For other modes the file type bits decide, as in git and
    libgit2; an unknown type counts as a file.
    """
    bits = int(mode, 8)
    kind = bits & _KIND
    return kind if kind in (TREE_MODE, COMMIT_MODE) else file_mode(bits)


def is_known_mode(mode: bytes) -> bool:
    """Tell whether any version of git writes this mode; old ones wrote 100664."""
    return mode in _TREE_MODES or mode in _OTHER_MODES


def file_mode(mode: int) -> FileMode:
    """Return the canonical mode of a file; old gits also wrote 100664 and the like."""
    if mode & _KIND == LINK_MODE:
        return 0o120000
    return 0o100755 if mode & 0o100 else 0o100644


def order(row: TreeRow) -> bytes:
    """Return git's sort key of a row: the name, with a slash at the end for a folder."""
    return row[1] + b"/" if is_tree(row[0]) else row[1]


def find_row(rows: Sequence[TreeRow], name: bytes) -> int | None:
    """Return the index of the file or folder ``name``, or None."""
    for key in (name, name + b"/"):
        index = bisect_left(rows, key, key=order)
        if index < len(rows) and rows[index][1] == name:
            return index
    return None


def walk(
    rows_of: TreeRows, tree: str, *, recursive: bool, after: list[bytes] | None = None
) -> Iterator[tuple[bytes, TreeRow]]:
    """Yield (folder with its slash, row) in git's order, a folder before its content.

    Args:
        rows_of: Returns the rows of a tree.
        tree: The tree to start at.
        recursive: Whether to descend into folders.
        after: Parts of the path to resume after; only the trees on that path are read again.
    """
    stack = _resume(rows_of, tree, after or [], recursive)
    while stack:
        checkpoint()
        folder, rows = stack[-1]
        row = next(rows, None)
        if row is None:
            stack.pop()
            continue
        yield folder, row
        if recursive and is_tree(row[0]):
            stack.append((folder + row[1] + b"/", iter(rows_of(row[2].hex()))))


def folders_first(rows: Sequence[TreeRow], after: bytes | None = None) -> Iterator[TreeRow]:
    """Yield the rows of one tree, folders before files, both in git's order.

    Args:
        rows: The rows in git's order.
        after: Name of the row to resume after, with a slash if it is a folder.
    """
    start = 0 if after is None else bisect_right(rows, after, key=order)
    if after is None or after.endswith(b"/"):
        yield from (row for row in _from(rows, start) if is_tree(row[0]))
        start = 0
    yield from (row for row in _from(rows, start) if not is_tree(row[0]))


def _from(rows: Sequence[TreeRow], start: int) -> Iterator[TreeRow]:
    return (rows[index] for index in range(start, len(rows)))


def _resume(
    rows_of: TreeRows, tree: str, after: list[bytes], recursive: bool
) -> list[tuple[bytes, Iterator[TreeRow]]]:
    stack: list[tuple[bytes, Iterator[TreeRow]]] = []
    folder = b""
    for depth, name in enumerate(after):
        rows = rows_of(tree)
        index = find_row(rows, name)
        if index is None:
            key = name if depth == len(after) - 1 else name + b"/"
            start = bisect_right(rows, key, key=order)
            stack.append((folder, iter(rows[start:])))
            return stack
        stack.append((folder, iter(rows[index + 1 :])))
        mode, _, oid = rows[index]
        if not (recursive and is_tree(mode)):
            return stack
        folder, tree = folder + name + b"/", oid.hex()
    stack.append((folder, iter(rows_of(tree))))
    return stack


def changes(
    rows_of: TreeRows, old: str | None, new: str | None
) -> Iterator[tuple[bytes, str | None, str | None]]:
    """Yield (path, old id, new id) of all files that differ between two trees.

    The id of a missing file is None; equal folders are not read. If only the mode changed, the
    ids are equal.
    """
    stack: list[tuple[bytes, str | None, str | None]] = [(b"", old, new)]
    while stack:
        folder, before, after = stack.pop()
        old_rows = set(rows_of(before)) if before else set()
        new_rows = set(rows_of(after)) if after else set()
        removed = {row[1]: row for row in old_rows - new_rows}
        added = {row[1]: row for row in new_rows - old_rows}
        for name in sorted(removed.keys() | added.keys(), reverse=True):
            old_ids, new_ids = _split(removed.get(name)), _split(added.get(name))
            if old_ids[0] or new_ids[0]:
                stack.append((folder + name + b"/", old_ids[0], new_ids[0]))
            if old_ids[1] or new_ids[1]:
                yield folder + name, old_ids[1], new_ids[1]


def _split(row: TreeRow | None) -> tuple[str | None, str | None]:
    """Return (folder id, file id); at least one is None."""
    if row is None:
        return None, None
    return (row[2].hex(), None) if is_tree(row[0]) else (None, row[2].hex())
