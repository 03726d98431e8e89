"""Rows of files that can be reconstructed from xorbs."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, delete, select

from hubstead.blobs import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import blobs, repo_blobs
from hubstead.db import DatabaseNow, Reader, Tx, any_of, indexed, insert_into, scan
from hubstead.xet.hashes import NO_HASH, to_raw, to_text
from hubstead.xet.index import KnownXorb
from hubstead.xet.tables import xet_file_xorbs, xet_files
from hubstead.xet.terms import Terms

#: Rows that `chunk_users` reads at most.
_USING_FILES = 1000
_USING_REPOS = 100
_USING_LINKS = 20_000
_PAGE = 1000

_COLUMNS = (
    xet_files.c.pk,
    xet_files.c.name,
    xet_files.c.sha256,
    xet_files.c.bytes,
    xet_files.c.terms,
)


class _FileRow(NamedTuple):
    pk: int
    name: str
    sha256: str
    bytes: int
    terms: builtins.bytes


_BY_NAME = indexed(select(*_COLUMNS).where(xet_files.c.name == bindparam("which_name")), _FileRow)


@dataclass(frozen=True, slots=True)
class _ObjectRow:
    reconstructable_ms: int | None
    stored: str | None
    object_bytes: int
    file: _FileRow | None

    _fields: ClassVar = ("reconstructable_ms", "stored", "object_bytes", *_FileRow._fields)

    @classmethod
    def _make(cls, values: Sequence[Any]) -> _ObjectRow:
        file = None if values[3] is None else _FileRow._make(values[3:])
        return cls(values[0], values[1], values[2], file)


_OF_BLOB = (blobs.c.reconstructable_ms, blobs.c.stored, blobs.c.bytes.label("object_bytes"))
_OBJECT = indexed(
    select(*_OF_BLOB, *_COLUMNS)
    .outerjoin_from(blobs, xet_files, xet_files.c.sha256 == blobs.c.name)
    .where(blobs.c.kind == BlobKind.LFS.value, blobs.c.name == bindparam("which_name"))
    .order_by(xet_files.c.pk)
    .limit(1),
    _ObjectRow,
)


@dataclass(frozen=True, slots=True)
class _NamedObjectRow:
    object: str
    row: _ObjectRow

    _fields: ClassVar = ("object", *_ObjectRow._fields)

    @classmethod
    def _make(cls, values: Sequence[Any]) -> _NamedObjectRow:
        return cls(values[0], _ObjectRow._make(values[1:]))


# The oldest file of the same bytes comes first.
_OBJECTS = scan(
    select(blobs.c.name.label("object"), *_OF_BLOB, *_COLUMNS)
    .outerjoin_from(blobs, xet_files, xet_files.c.sha256 == blobs.c.name)
    .where(blobs.c.kind == BlobKind.LFS.value, any_of(blobs.c.name, "names"))
    .order_by(blobs.c.name, xet_files.c.pk),
    _NamedObjectRow,
)
_WITH_CONTENT = scan(select(*_COLUMNS).where(any_of(xet_files.c.sha256, "names")), _FileRow)
_DROP = scan(delete(xet_files).where(any_of(xet_files.c.pk, "pks")))


class _NamedSha256(NamedTuple):
    name: str
    sha256: str


_SHA256S = scan(
    select(xet_files.c.name, xet_files.c.sha256).where(any_of(xet_files.c.name, "names")),
    _NamedSha256,
)


class _NamedPk(NamedTuple):
    name: str
    pk: int


_PKS = scan(
    select(xet_files.c.name, xet_files.c.pk).where(any_of(xet_files.c.name, "names")), _NamedPk
)
_ADD = indexed(
    insert_into(xet_files, "name", "sha256", "bytes", "terms")
    .values(created_ms=DatabaseNow(), touched_ms=DatabaseNow())
    # The first terms stay: other transactions rely on them.
    .on_conflict_do_update(
        index_elements=["name"],
        set_={"touched_ms": DatabaseNow()},
    )
)
_ADD_NEED = indexed(insert_into(xet_file_xorbs, "file_pk", "xorb_pk").on_conflict_do_nothing())


class _UsingFile(NamedTuple):
    sha256: str
    terms: bytes


_USING = scan(
    select(xet_files.c.sha256, xet_files.c.terms)
    .join_from(xet_file_xorbs, xet_files, xet_files.c.pk == xet_file_xorbs.c.file_pk)
    .where(xet_file_xorbs.c.xorb_pk == bindparam("which_xorb"))
    .order_by(xet_files.c.pk)
    .limit(_USING_FILES),
    _UsingFile,
)
_USING_OF_REPO = scan(
    select(xet_files.c.sha256, xet_files.c.terms)
    .join_from(xet_file_xorbs, xet_files, xet_files.c.pk == xet_file_xorbs.c.file_pk)
    .join(
        repo_blobs,
        and_(repo_blobs.c.kind == BlobKind.LFS.value, repo_blobs.c.name == xet_files.c.sha256),
    )
    .where(
        xet_file_xorbs.c.xorb_pk == bindparam("which_xorb"),
        repo_blobs.c.repo_pk == bindparam("which_repo"),
    )
    .order_by(xet_files.c.pk)
    .limit(_USING_FILES),
    _UsingFile,
)


class _Link(NamedTuple):
    name: str
    repo_pk: int


_COMMITTED = scan(
    select(repo_blobs.c.name, repo_blobs.c.repo_pk)
    .where(
        repo_blobs.c.kind == BlobKind.LFS.value,
        repo_blobs.c.committed == 1,
        any_of(repo_blobs.c.name, "names"),
    )
    .limit(_USING_LINKS),
    _Link,
)


class XetFile(msgspec.Struct, frozen=True):
    """A file that can be reconstructed from xorbs."""

    name: str  # its hash string
    sha256: str  # of its bytes, computed by this hub
    bytes: int
    terms: Terms

    @classmethod
    def empty(cls) -> XetFile:
        """Return the file without bytes, which needs no row."""
        return cls(to_text(NO_HASH), "", 0, Terms())


class NewFile(msgspec.Struct, frozen=True):
    """A verified file to register."""

    name: str
    sha256: str
    bytes: int
    terms: Terms
    xorb_pks: tuple[int, ...]


async def find_file(db: Reader, name: str) -> XetFile | None:
    """Return a file by its hash string, regardless of repositories.

    A repository has the file if it links to the LFS object ``sha256`` (`find_lfs_object`).
    """
    row = await db.one(_BY_NAME, which_name=name)
    return None if row is None else _file(row)


class LocatedObject(NamedTuple):
    """Where the bytes of an LFS object are."""

    bytes: int
    place: StoredKey | None  # None: it is not stored as one blob
    file: XetFile | None  # the oldest one, if it can be reconstructed from xorbs


async def locate_object(db: Reader, sha256: str) -> LocatedObject | None:
    """Return where an LFS object is; None if there is no such object."""
    row = await db.one(_OBJECT, which_name=sha256)
    if row is None:
        return None
    place = stored_key(BlobKey(BlobKind.LFS, sha256), row.stored)
    file = None if row.file is None else _file(row.file)
    return LocatedObject(
        row.object_bytes, None if row.reconstructable_ms is not None else place, file
    )


async def locate_objects(
    db: Reader, sha256s: Sequence[str]
) -> dict[str, tuple[bool, XetFile | None]]:
    """Return whether each existing LFS object is plain, and its oldest file, by sha256."""
    objects: dict[str, tuple[bool, XetFile | None]] = {}
    for start in range(0, len(sha256s), _PAGE):
        for row in await db.all(_OBJECTS, names=list(sha256s[start : start + _PAGE])):
            file = None if row.row.file is None else _file(row.row.file)
            objects.setdefault(row.object, (row.row.reconstructable_ms is None, file))
    return objects


async def files_with_content(db: Reader, sha256s: Sequence[str]) -> list[tuple[int, XetFile]]:
    """Return all files that have one of these sha256s, each with its pk, however it is chunked."""
    files: list[tuple[int, XetFile]] = []
    for start in range(0, len(sha256s), _PAGE):
        rows = await db.all(_WITH_CONTENT, names=list(sha256s[start : start + _PAGE]))
        files += [(row.pk, _file(row)) for row in rows]
    return files


async def drop_files(tx: Tx, pks: Sequence[int]) -> None:
    """Delete files that cannot be reconstructed any more; their LFS objects stay."""
    if pks:
        await tx.run(_DROP, pks=list(pks))


def _file(row: _FileRow) -> XetFile:
    return XetFile(row.name, row.sha256, row.bytes, Terms.unpack(row.terms))


async def known_sha256s(db: Reader, names: Sequence[str]) -> dict[str, str]:
    """Return the sha256 of those of the files that are registered, by hash string."""
    sha256s: dict[str, str] = {}
    for start in range(0, len(names), _PAGE):
        rows = await db.all(_SHA256S, names=list(names[start : start + _PAGE]))
        sha256s.update((row.name, row.sha256) for row in rows)
    return sha256s


async def add_files(tx: Tx, files: Sequence[NewFile]) -> bool:
    """Register files; the same transaction has renewed their xorbs.

    Returns:
        Whether any of them is new.
    """
    # Ordered, so that two transactions that register the same files wait and do not deadlock.
    files = sorted(files, key=lambda file: file.name)
    known = await _pks_by_name(tx, files)
    await tx.run_many(
        _ADD,
        [
            {
                "name": file.name,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "terms": file.terms.pack(),
            }
            for file in files
        ],
    )
    new = [file for file in files if file.name not in known]
    if new:
        pks = await _pks_by_name(tx, new)
        needs = sorted((pks[file.name], xorb_pk) for file in new for xorb_pk in file.xorb_pks)
        await tx.run_many(_ADD_NEED, [{"file_pk": pk, "xorb_pk": xorb_pk} for pk, xorb_pk in needs])
    return bool(new)


async def _pks_by_name(tx: Tx, files: Sequence[NewFile]) -> dict[str, int]:
    rows = await tx.all(_PKS, names=[file.name for file in files]) if files else []
    return {row.name: row.pk for row in rows}


async def chunk_users(
    db: Reader, xorb: KnownXorb, *, only: int | None = None
) -> dict[int, list[tuple[int, int]]]:
    """Return which chunks of a xorb the files of each repository use, by pk of the repository.

    Committed files count, the oldest 1,000 of them in up to 100 repositories.

    Args:
        db: The database.
        xorb: The xorb.
        only: Limits the result to this repository; uncommitted files then count as well.

    Returns:
        Sorted, disjoint ranges of chunks, ends exclusive.
    """
    raw = to_raw(xorb.name)
    if only is not None:
        rows = await db.all(_USING_OF_REPO, which_xorb=xorb.pk, which_repo=only)
        return {only: ranges} if (ranges := _merged(_ranges(rows, raw))) else {}
    rows = await db.all(_USING, which_xorb=xorb.pk)
    names = list({row.sha256 for row in rows})
    links = await db.all(_COMMITTED, names=names) if names else []
    ranges_of: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        ranges_of.setdefault(row.sha256, []).extend(_ranges([row], raw))
    users: dict[int, list[tuple[int, int]]] = {}
    for link in links:
        if link.repo_pk in users or len(users) < _USING_REPOS:
            users.setdefault(link.repo_pk, []).extend(ranges_of[link.name])
    return {repo_pk: _merged(ranges) for repo_pk, ranges in users.items()}


def _ranges(rows: Iterable[_UsingFile], raw: bytes) -> list[tuple[int, int]]:
    return [span for row in rows for span in Terms.unpack(row.terms).chunks_of(raw)]


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
