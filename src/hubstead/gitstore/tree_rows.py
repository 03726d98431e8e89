"""Trees as git stores them: rows, their order, pages of them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

TREE_MODE = 0o040000
LINK_MODE = 0o120000
COMMIT_MODE = 0o160000

_KIND = 0o170000
#: What a file may be in a tree: plain, executable, a symbolic link.
FileMode = Literal[0o100644, 0o100755, 0o120000]

#: One row of a tree: mode in octal digits, name, object id in 20 bytes; as the object holds them.
TreeRow = tuple[bytes, bytes, bytes]
#: Gives the rows of a tree, by its hexadecimal id.
TreeRows = Callable[[str], Sequence[TreeRow]]

_ROW = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
_TREE = re.compile(rb"(?:[0-7]+ [^\0]++\0.{20})*+", re.DOTALL)
_TREE_MODES = (b"40000", b"040000")
_OTHER_MODES = frozenset((b"100644", b"100755", b"100664", b"120000", b"160000"))


def parse_rows(data: bytes) -> list[TreeRow]:
    """Read a tree object.

    Raises:
        ValueError: when the bytes are not those of a tree.
    """
    if not _TREE.fullmatch(data):
        raise ValueError("not a tree object")
    rows: list[TreeRow] = _ROW.findall(data)
    return rows


def is_tree(mode: bytes) -> bool:
    """Tell whether a row of this mode is a folder, as git does: by its kind alone."""
    return mode in _TREE_MODES or (mode not in _OTHER_MODES and plain_mode(mode) == TREE_MODE)


def plain_mode(mode: bytes) -> int:
    """Return the mode that git writes today for what a row of this mode is.

    Old gits wrote 100664 and 040000. Any other text is read as git and libgit2 do: the kind
    decides, and what is of no kind that git knows is a file.
    """
    bits = int(mode, 8)
    kind = bits & _KIND
    return kind if kind in (TREE_MODE, COMMIT_MODE) else file_mode(bits)


def is_known_mode(mode: bytes) -> bool:
    """Tell whether git itself writes or wrote this mode; 100664 was one of old gits."""
    return mode in _TREE_MODES or mode in _OTHER_MODES


def file_mode(mode: int) -> FileMode:
    """Return the mode that git writes today for a file; old gits also wrote 100664 and such."""
    if mode & _KIND == LINK_MODE:
        return 0o120000
    return 0o100755 if mode & 0o100 else 0o100644


def order(row: TreeRow) -> bytes:
    """Return what git sorts rows by: the name, with a slash behind a folder's."""
    return row[1] + b"/" if is_tree(row[0]) else row[1]


def find_row(rows: Sequence[TreeRow], name: bytes) -> int | None:
    """Return the place of the row called ``name``, be it a file or a folder."""
    for key in (name, name + b"/"):
        place = bisect_left(rows, key, key=order)
        if place < len(rows) and rows[place][1] == name:
            return place
    return None


def walk(
    rows_of: TreeRows, tree: str, *, recursive: bool, after: list[bytes] | None = None
) -> Iterator[tuple[bytes, TreeRow]]:
    """Yield (folder with its slash, row) in git's order, folders before what is in them.

    Args:
        rows_of: Where trees are read.
        tree: The tree to start at.
        recursive: Whether to go into folders.
        after: Parts of the path to resume behind; only the trees on it are read again.
    """
    stack = _resume(rows_of, tree, after or [], recursive)
    while stack:
        folder, rows = stack[-1]
        row = next(rows, None)
        if row is None:
            stack.pop()
            continue
        yield folder, row
        if recursive and is_tree(row[0]):
            stack.append((folder + row[1] + b"/", iter(rows_of(row[2].hex()))))


def folders_first(rows: Sequence[TreeRow], after: bytes | None = None) -> Iterator[TreeRow]:
    """Yield the rows of one tree, its folders before all else, both in git's order.

    Args:
        rows: The rows in git's order.
        after: Name of the row to resume behind, with a slash if it was a folder.
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
        place = find_row(rows, name)
        if place is None:
            key = name if depth == len(after) - 1 else name + b"/"
            start = bisect_right(rows, key, key=order)
            stack.append((folder, iter(rows[start:])))
            return stack
        stack.append((folder, iter(rows[place + 1 :])))
        mode, _, oid = rows[place]
        if not (recursive and is_tree(mode)):
            return stack
        folder, tree = folder + name + b"/", oid.hex()
    stack.append((folder, iter(rows_of(tree))))
    return stack


def changes(
    rows_of: TreeRows, old: str | None, new: str | None
) -> Iterator[tuple[bytes, str | None, str | None]]:
    """Yield (path, old id, new id) of each file that differs between two trees.

    ``None`` stands for a file that is not there; equal folders are not read. A change of mode
    alone has equal ids.
    """
    stack: list[tuple[bytes, str | None, str | None]] = [(b"", old, new)]
    while stack:
        folder, before, after = stack.pop()
        old_rows = set(rows_of(before)) if before else set()
        new_rows = set(rows_of(after)) if after else set()
        gone = {row[1]: row for row in old_rows - new_rows}
        come = {row[1]: row for row in new_rows - old_rows}
        for name in sorted(gone.keys() | come.keys(), reverse=True):
            was, now = _split(gone.get(name)), _split(come.get(name))
            if was[0] or now[0]:
                stack.append((folder + name + b"/", was[0], now[0]))
            if was[1] or now[1]:
                yield folder + name, was[1], now[1]


def _split(row: TreeRow | None) -> tuple[str | None, str | None]:
    """Return (id of the folder, id of the file): one of them or none."""
    if row is None:
        return None, None
    return (row[2].hex(), None) if is_tree(row[0]) else (None, row[2].hex())
