"""Writes new objects into one pack, which becomes durable at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeAlias

from hubstead import errors
from hubstead.files import sync_folder, translate_disk_errors, write_file
from hubstead.gitstore.errors import ObjectMissing, RepoMissing
from hubstead.gitstore.packfile import (
    HEADER_BYTES,
    ObjectKind,
    Packed,
    deflate,
    index_bytes,
    object_hash,
    object_header,
    pack_header,
)
from hubstead.gitstore.tree_rows import TreeRow, order

SPILL_BYTES = 1 << 20
_CHUNK = 1 << 18
_NOT_IN_NAMES = re.compile(rb"[\0/]")
_NOT_IN_PEOPLE = re.compile(r"[\0\n<>]")


Trees: TypeAlias = Mapping[str, Sequence[TreeRow]]
Commits: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ident:
    """The author, committer or tagger of a commit or tag; drops characters that git forbids."""

    name: str
    email: str

    def line(self, time_s: int, zone: str) -> str:
        """Return the identity line of a commit object, without its keyword."""
        name = _NOT_IN_PEOPLE.sub("", self.name).strip(" .,:;\"'\\") or "unknown"
        email = _NOT_IN_PEOPLE.sub("", self.email).strip()
        return f"{name} <{email}> {time_s} {zone}"


@dataclass(frozen=True, slots=True)
class Pack:
    """A durable pack of a repository; ``size`` is the size of the pack file in bytes.

    ``stored`` is its name in the shared store, once it is durable for all nodes.
    """

    name: str
    objects: int
    size: int
    pack_path: Path
    idx_path: Path
    stored: str | None = None


class PackDraft:
    """An unfinished pack of new objects. Use it from one thread at a time.

    Objects stay in memory up to about a mebibyte, then spill to a file ``tmp_pack_…`` beside the
    packs, which git and :meth:`GitStore.sweep` recognise as temporary. As a context manager it
    discards an unfinished draft.

    Args:
        folder: The folder of the packs.
        level: The zlib level.
        on_finish: Called when the pack is durable, with its name, the rows of its trees by id,
            and the tree ids of its commits by id.
    """

    def __init__(
        self,
        folder: Path,
        *,
        level: int,
        on_finish: Callable[[str, Trees, Commits], None] | None = None,
    ) -> None:
        self._folder = folder
        self._level = level
        self._objects: dict[bytes, Packed] = {}
        self._end = HEADER_BYTES
        self._tail = bytearray(HEADER_BYTES)  # bytes that are not in the file yet
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._closed = False
        self._on_finish = on_finish
        self._trees: dict[str, Sequence[TreeRow]] = {}
        self._commits: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def __len__(self) -> int:
        return len(self._objects)

    # -- adding ------------------------------------------------------------------------------

    def blob(self, data: bytes) -> str:
        """Add a file's content; return its id."""
        return self._add("blob", data)

    def tree(self, rows: Sequence[TreeRow]) -> str:
        """Add a folder; return its id.

        Args:
            rows: Rows (:data:`~hubstead.gitstore.tree_rows.TreeRow`) in git's order.

        Raises:
            errors.InvalidPath: git forbids a name.
            ValueError: the rows are out of order or a name is repeated.
        """
        _check_rows(rows)
        data = b"".join([b"%b %b\0%b" % row for row in rows])
        oid = self._add("tree", data)
        self._trees[oid] = tuple(rows)
        return oid

    def commit(
        self,
        tree: str,
        parents: Iterable[str],
        author: Ident,
        message: str,
        *,
        time_s: int,
        committer: Ident | None = None,
        zone: str = "+0000",
    ) -> str:
        """Add a commit; return its id.

        Args:
            tree: Id of its tree.
            parents: Ids of its parents; the first is the tip of the branch.
            author: The author of the change.
            message: The title, an empty line and a body; one newline ends it.
            time_s: Seconds since the epoch, for author and committer.
            committer: The committer; the author by default.
            zone: The displayed offset of the time zone.

        Raises:
            errors.InvalidInput: the message has a NUL or is not valid Unicode.
        """
        lines = [
            f"tree {tree}",
            *[f"parent {parent}" for parent in parents],
            f"author {author.line(time_s, zone)}",
            f"committer {(committer or author).line(time_s, zone)}",
        ]
        oid = self._add_message("commit", lines, message)
        self._commits[oid] = tree
        return oid

    def tag(self, name: str, commit: str, tagger: Ident, message: str, *, time_s: int) -> str:
        """Add an annotated tag of a commit; return its id. Arguments as in ``commit``."""
        lines = [
            f"object {commit}",
            "type commit",
            f"tag {name}",
            f"tagger {tagger.line(time_s, '+0000')}",
        ]
        return self._add_message("tag", lines, message)

    def _add_message(self, kind: ObjectKind, lines: Sequence[str], message: str) -> str:
        if "\0" in message:
            raise errors.InvalidInput(reason="a message must not hold NUL characters")
        try:
            return self._add(kind, "\n".join([*lines, "", message.rstrip("\n"), ""]).encode())
        except UnicodeEncodeError:
            raise errors.InvalidInput(reason="a message must be valid Unicode") from None

    def _add(self, kind: ObjectKind, data: bytes) -> str:
        digest = object_hash(kind, len(data))
        digest.update(data)
        oid = digest.digest()
        if oid not in self._objects:
            packed = object_header(kind, len(data)) + deflate(
                data, self._level, salted=not self._objects
            )
            offset = self._end
            self._append(packed)
            crc = zlib.crc32(packed)
            self._objects[oid] = Packed(oid, kind, len(data), offset, len(packed), crc)
        return oid.hex()

    def _append(self, data: bytes) -> None:
        if self._closed:
            raise RuntimeError("this draft has ended")
        self._tail += data
        self._end += len(data)
        if len(self._tail) > SPILL_BYTES:
            self._spill()

    def _spill(self) -> None:
        with translate_disk_errors():
            if self._file is None:
                self._path = self._folder / f"tmp_pack_{secrets.token_hex(12)}"
                fd = self._create(self._path)
                self._file = open(fd, "r+b", buffering=0)  # noqa: SIM115 - lives as long as the draft
            _write_all(self._file, self._tail)
        self._tail.clear()

    def _create(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o444)
        except FileNotFoundError:
            raise RepoMissing(repo_id=self._folder.parent.parent.stem) from None

    # -- reading -----------------------------------------------------------------------------

    def contains(self, oid: str) -> bool:
        """Tell whether the draft contains this object."""
        return bytes.fromhex(oid) in self._objects

    def get(self, oid: str) -> tuple[ObjectKind, bytes]:
        """Return kind and content of an object of the draft.

        Raises:
            ObjectMissing: the draft does not contain it.
        """
        row = self._objects.get(bytes.fromhex(oid))
        if row is None:
            raise ObjectMissing(oid=oid)
        packed = self._read(row.offset, row.length)
        return row.kind, zlib.decompress(packed[len(object_header(row.kind, row.size)) :])

    def _read(self, offset: int, length: int) -> bytes:
        in_file = self._end - len(self._tail)
        if offset >= in_file:
            return bytes(self._tail[offset - in_file : offset - in_file + length])
        self._spill()
        assert self._file is not None
        return os.pread(self._file.fileno(), length, offset)

    # -- ending ------------------------------------------------------------------------------

    def finish(self) -> Pack:
        """Make the objects durable as one pack of the repository and end the draft.

        The pack's name is unique even if the same objects were written before, so a caller that
        fails to register the pack may remove it.

        Raises:
            errors.StorageFull: the disk is full; no file remains.
            RepoMissing: the repository's folder is gone.
            ValueError: the draft is empty.
        """
        if not self._objects:
            raise ValueError("an empty draft makes no pack")
        try:
            with translate_disk_errors():
                pack = self._rename(self._seal())
            self._notify(pack.name)
            return pack
        finally:
            self.discard()

    def _notify(self, pack: str) -> None:
        if self._on_finish is not None:
            trees = {oid: rows for oid, rows in self._trees.items() if self.contains(oid)}
            commits = {oid: tree for oid, tree in self._commits.items() if self.contains(oid)}
            self._on_finish(pack, trees, commits)

    def _seal(self) -> bytes:
        """Write header and trailer, sync the file, return the pack's checksum."""
        self._spill()
        assert self._file is not None
        fd = self._file.fileno()
        os.pwrite(fd, pack_header(len(self._objects)), 0)
        digest = hashlib.sha1(usedforsecurity=False)
        offset = 0
        while chunk := os.pread(fd, _CHUNK, offset):
            digest.update(chunk)
            offset += len(chunk)
        _write_all(self._file, digest.digest())
        os.fsync(fd)
        return digest.digest()

    def _rename(self, checksum: bytes) -> Pack:
        """Rename pack and index to their final names, the index last: git looks for indexes."""
        assert self._path is not None
        stem = self._folder / f"pack-{checksum.hex()}"
        pack_path, idx_path = stem.with_suffix(".pack"), stem.with_suffix(".idx")
        index_draft = self._folder / self._path.name.replace("tmp_pack_", "tmp_idx_")
        try:
            write_file(index_draft, index_bytes(list(self._objects.values()), checksum), 0o444)
            size = os.stat(self._path).st_size
            os.rename(self._path, pack_path)
            os.rename(index_draft, idx_path)
            sync_folder(self._folder)
        except BaseException:
            for path in (index_draft, idx_path, pack_path):
                path.unlink(missing_ok=True)
            raise
        return Pack(checksum.hex(), len(self._objects), size, pack_path, idx_path)

    def discard(self) -> None:
        """End the draft and remove its file; a no-op after :meth:`finish`."""
        self._closed = True
        self._tail = bytearray()  # a failed write may still reference the old one
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            self._path = None


def _write_all(file: BinaryIO, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _check_rows(rows: Sequence[TreeRow]) -> None:
    names = [row[1] for row in rows]
    for name in {b"", b".", b"..", b".git"}.intersection(names):
        raise errors.InvalidPath(path=name.decode(), reason="no folder may hold this name")
    if len(_NOT_IN_NAMES.sub(b"", b"".join(names))) != sum(map(len, names)):
        raise errors.InvalidPath(path="", reason="a name holds NUL or '/'")
    keys = [order(row) for row in rows]
    if keys != sorted(keys) or len(set(names)) != len(names):
        raise ValueError("the rows of a tree are out of order")
