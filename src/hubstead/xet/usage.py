"""Computes storage usage: the bytes that a repository uses alone, and those it shares.

A repository uses the chunks in the terms of its files, and its plain LFS objects as a whole. Sizes
are those of stored records. The computation takes xorbs in batches, with the terms of all files
that use them, so its memory does not grow with the number of files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import and_, bindparam, func, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKind
from hubstead.blobs.tables import blobs, repo_blobs
from hubstead.db import Reader, any_of, scan, total
from hubstead.xet.hashes import to_raw
from hubstead.xet.tables import xet_file_xorbs, xet_files, xorbs
from hubstead.xet.terms import Terms
from hubstead.xet.xorbs import XorbIndex

#: Files that `terms_bytes` counts at most.
_EFFORT_FILES = 1000


class Batching(msgspec.Struct, frozen=True):
    """Batch sizes. They bound memory and never change a result."""

    xorbs: int = 64
    terms_bytes: int = 8 << 20
    page: int = 1000  # rows


_BATCHING = Batching()

#: Returns those of the repositories, by pk, that the result may mention.
Among: TypeAlias = Callable[[frozenset[int]], Awaitable[frozenset[int]]]
#: The chunks of one xorb that each repository uses, by its pk: bit i is chunk i.
Needs: TypeAlias = Mapping[int, int]

_SAME_FILE = and_(repo_blobs.c.kind == BlobKind.LFS.value, repo_blobs.c.name == xet_files.c.sha256)
_SAME_BLOB = and_(blobs.c.kind == repo_blobs.c.kind, blobs.c.name == repo_blobs.c.name)
_LINKED = repo_blobs.c.kind == BlobKind.LFS.value
_OF_REPO = repo_blobs.c.repo_pk == bindparam("which_pk")

_XORBS_OF = scan(
    select(xet_file_xorbs.c.xorb_pk)
    .distinct()
    .join_from(xet_file_xorbs, xet_files, xet_file_xorbs.c.file_pk == xet_files.c.pk)
    .join(repo_blobs, _SAME_FILE)
    .where(_OF_REPO)
    .order_by(xet_file_xorbs.c.xorb_pk),
    int,
)
_XORBS_OF_ALL = scan(
    select(xet_file_xorbs.c.xorb_pk).distinct().order_by(xet_file_xorbs.c.xorb_pk), int
)


class _IndexRow(NamedTuple):
    pk: int
    name: str
    entries: bytes


_INDEXES = scan(
    select(xorbs.c.pk, xorbs.c.name, xorbs.c.entries).where(any_of(xorbs.c.pk, "pks")), _IndexRow
)


class _FileRow(NamedTuple):
    pk: int
    sha256: str
    bytes: int


_FILES_IN = scan(
    select(xet_files.c.pk, xet_files.c.sha256, func.length(xet_files.c.terms).label("bytes"))
    .distinct()
    .join_from(xet_file_xorbs, xet_files, xet_file_xorbs.c.file_pk == xet_files.c.pk)
    .where(any_of(xet_file_xorbs.c.xorb_pk, "pks"), xet_files.c.pk > bindparam("after_pk"))
    .order_by(xet_files.c.pk)
    .limit(bindparam("page")),
    _FileRow,
)


class _TermsRow(NamedTuple):
    sha256: str
    terms: bytes


_TERMS = scan(
    select(xet_files.c.sha256, xet_files.c.terms).where(any_of(xet_files.c.pk, "pks")), _TermsRow
)


class _Holder(NamedTuple):
    name: str
    repo_pk: int


_HOLDERS = scan(
    select(repo_blobs.c.name, repo_blobs.c.repo_pk).where(
        _LINKED, any_of(repo_blobs.c.name, "names")
    ),
    _Holder,
)


class _Sums(NamedTuple):
    files: int
    bytes: int


_LOGICAL = scan(
    select(func.count().label("files"), total(repo_blobs.c.bytes).label("bytes")).where(
        _LINKED, _OF_REPO
    ),
    _Sums,
)


class _SumsOfRepo(NamedTuple):
    repo_pk: int
    files: int
    bytes: int


_LOGICAL_OF_ALL = scan(
    select(
        repo_blobs.c.repo_pk,
        func.count().label("files"),
        total(repo_blobs.c.bytes).label("bytes"),
    )
    .where(_LINKED)
    .group_by(repo_blobs.c.repo_pk),
    _SumsOfRepo,
)


class _PlainBlob(NamedTuple):
    name: str
    bytes: int


_PLAIN_OF = scan(
    select(blobs.c.name, blobs.c.bytes)
    .join_from(repo_blobs, blobs, _SAME_BLOB)
    .where(
        _LINKED, _OF_REPO, blobs.c.reconstructable_ms.is_(None), blobs.c.name > bindparam("after")
    )
    .order_by(blobs.c.name)
    .limit(bindparam("page")),
    _PlainBlob,
)
_PLAIN_OF_ALL = scan(
    select(blobs.c.name, blobs.c.bytes)
    .where(
        blobs.c.kind == BlobKind.LFS.value,
        blobs.c.reconstructable_ms.is_(None),
        blobs.c.name > bindparam("after"),
    )
    .order_by(blobs.c.name)
    .limit(bindparam("page")),
    _PlainBlob,
)
_theirs = xet_files.alias()
_uses = xet_file_xorbs.alias()
_FILES_BESIDE = (
    select(_theirs.c.pk, func.length(_theirs.c.terms).label("bytes"))
    .distinct()
    .join_from(repo_blobs, xet_files, _SAME_FILE)
    .join(xet_file_xorbs, xet_file_xorbs.c.file_pk == xet_files.c.pk)
    .join(_uses, _uses.c.xorb_pk == xet_file_xorbs.c.xorb_pk)
    .join(_theirs, _theirs.c.pk == _uses.c.file_pk)
    .where(_OF_REPO)
    .limit(_EFFORT_FILES)
    .subquery()
)
_EFFORT = scan(
    select(func.count().label("files"), total(_FILES_BESIDE.c.bytes).label("bytes")), _Sums
)


class _Distinct(NamedTuple):
    files: int
    bytes: int
    plain_bytes: int


_DISTINCT = scan(
    select(
        func.count().label("files"),
        total(blobs.c.bytes).label("bytes"),
        total(blobs.c.bytes, where=blobs.c.reconstructable_ms.is_(None)).label("plain_bytes"),
    ).where(blobs.c.kind == BlobKind.LFS.value, blobs.c.unreferenced_ms.is_(None)),
    _Distinct,
)


class _XorbSums(NamedTuple):
    xorbs: int
    bytes: int
    unpacked: int
    index_bytes: int


_KEPT_XORBS = scan(
    select(
        func.count().label("xorbs"),
        total(xorbs.c.bytes).label("bytes"),
        total(xorbs.c.unpacked).label("unpacked"),
        total(func.length(xorbs.c.entries)).label("index_bytes"),
    ),
    _XorbSums,
)


class HubUsage(msgspec.Struct, frozen=True):
    """The storage of the LFS and Xet files of all repositories, in bytes."""

    files: int  # linked by any repository, counted once per sha256
    distinct: int  # their sizes added up
    plain: int  # of these, the plain objects
    xorbs: int
    xorb_bytes: int  # as stored, used or not
    xorb_unpacked: int  # as chunks
    xorb_index: int  # their indexes in the database


@dataclass
class Usage:
    """The storage of the LFS and Xet files of one repository, in bytes."""

    files: int = 0
    logical: int = 0  # their sizes added up
    stored: int = 0  # ``unique`` and ``shared``
    unique: int = 0  # used by no other repository (that may be mentioned)
    shared_with: dict[int, int] = field(default_factory=dict)  # by pk of the repository

    @property
    def shared(self) -> int:
        """The bytes that other repositories use as well."""
        return self.stored - self.unique


async def usage_of(
    db: Reader, repo_pk: int, *, among: Among | None = None, batching: Batching = _BATCHING
) -> Usage:
    """Return the usage of one repository.

    Args:
        db: The database.
        repo_pk: The repository.
        among: Selects the other repositories that count; None counts all. Bytes shared with the
            rest only are reported as unique, so the rest stays hidden.
        batching: Batch sizes.
    """
    logical = await db.single(_LOGICAL, which_pk=repo_pk)
    usage = Usage(logical.files, logical.bytes)
    holders_of = _Holders(db, among, repo_pk)
    xorb_pks = await db.all(_XORBS_OF, which_pk=repo_pk)
    for start in range(0, len(xorb_pks), batching.xorbs):
        pks = xorb_pks[start : start + batching.xorbs]
        for index, needs in await _needs(db, pks, holders_of, batching):
            _add(usage, repo_pk, needs, _Sizes(index).of)
    after = ""
    while plain := await db.all(_PLAIN_OF, which_pk=repo_pk, after=after, page=batching.page):
        await _add_plain({repo_pk: usage}, plain, holders_of, list_repos=True)
        after = plain[-1].name
    return usage


async def usage_of_all(db: Reader, *, batching: Batching = _BATCHING) -> dict[int, Usage]:
    """Return the usage of every repository with LFS files, by pk, without ``shared_with``."""
    rows = await db.all(_LOGICAL_OF_ALL)
    usages = {row.repo_pk: Usage(row.files, row.bytes) for row in rows}
    holders_of = _Holders(db)
    xorb_pks = await db.all(_XORBS_OF_ALL)
    for start in range(0, len(xorb_pks), batching.xorbs):
        pks = xorb_pks[start : start + batching.xorbs]
        for index, needs in await _needs(db, pks, holders_of, batching):
            _add_all(usages, needs, _Sizes(index).of)
    after = ""
    while plain := await db.all(_PLAIN_OF_ALL, after=after, page=batching.page):
        await _add_plain(usages, plain, holders_of, list_repos=False)
        after = plain[-1].name
    return usages


async def hub_usage(db: Reader) -> HubUsage:
    """Return the usage of the whole hub."""
    files, xorbs = await db.single(_DISTINCT), await db.single(_KEPT_XORBS)
    return HubUsage(
        files=files.files,
        distinct=files.bytes,
        plain=files.plain_bytes,
        xorbs=xorbs.xorbs,
        xorb_bytes=xorbs.bytes,
        xorb_unpacked=xorbs.unpacked,
        xorb_index=xorbs.index_bytes,
    )


async def terms_bytes(db: Reader, repo_pk: int) -> int:
    """Return a lower bound of the bytes of terms that `usage_of` reads; 0 if there are none.

    It counts at most a thousand files.
    """
    return (await db.single(_EFFORT, which_pk=repo_pk)).bytes


# -- chunks in use --------------------------------------------------------------------------


@dataclass
class _Holders:
    """Looks up the repositories that link to LFS objects; those outside ``among`` do not count."""

    db: Reader
    among: Among | None = None
    own: int | None = None  # always counts
    _checked: set[int] = field(default_factory=set)
    _admitted: set[int] = field(default_factory=set)

    async def find(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Return the pks of the repositories that link to LFS objects, by sha256."""
        repos: dict[str, list[int]] = defaultdict(list)
        rows = await self.db.all(_HOLDERS, names=list(names))
        if self.among is not None:
            await self._check({row.repo_pk for row in rows}, self.among)
        for row in rows:
            if self.among is None or row.repo_pk == self.own or row.repo_pk in self._admitted:
                repos[row.name].append(row.repo_pk)
        return repos

    async def _check(self, pks: set[int], among: Among) -> None:
        new = pks - self._checked - {self.own}
        self._checked |= new
        if new:
            self._admitted |= await among(frozenset(new))


async def _needs(
    db: Reader, pks: Sequence[int], holders_of: _Holders, batching: Batching
) -> list[tuple[XorbIndex, dict[int, int]]]:
    """Return the index of each xorb, with its chunks that each repository uses."""
    xorbs = await db.all(_INDEXES, pks=list(pks))
    needs: dict[bytes, dict[int, int]] = {to_raw(row.name): defaultdict(int) for row in xorbs}
    after = 0
    while files := await db.all(_FILES_IN, pks=list(pks), after_pk=after, page=batching.page):
        for batch in _batches(files, batching.terms_bytes):
            holders = await holders_of.find([row.sha256 for row in batch])
            rows = await db.all(_TERMS, pks=[row.pk for row in batch])
            await run_in_lane(Lane.BACKGROUND, _mark, needs, rows, holders)
        after = files[-1].pk
    return [(XorbIndex.unpack(row.entries), needs[to_raw(row.name)]) for row in xorbs]


def _batches(files: Iterable[_FileRow], terms_bytes: int) -> Iterator[list[_FileRow]]:
    """Divide files so that the terms of a batch fit into memory."""
    batch: list[_FileRow] = []
    weight = 0
    for row in files:
        if batch and weight + row.bytes > terms_bytes:
            yield batch
            batch, weight = [], 0
        batch.append(row)
        weight += row.bytes
    if batch:
        yield batch


def _mark(
    needs: Mapping[bytes, dict[int, int]],
    files: Iterable[_TermsRow],
    holders: Mapping[str, list[int]],
) -> None:
    for row in files:
        repos = holders.get(row.sha256)
        if not repos:
            continue
        chunks: dict[bytes, int] = defaultdict(int)
        for term in Terms.unpack(row.terms):
            if term.xorb in needs:
                chunks[term.xorb] |= (1 << term.end) - (1 << term.start)
        for name, bits in chunks.items():
            for repo_pk in repos:
                needs[name][repo_pk] |= bits


class _Sizes:
    """The stored bytes of sets of chunks of one xorb, cached: many repositories use equal sets."""

    def __init__(self, index: XorbIndex) -> None:
        self._index = index
        self._known: dict[int, int] = {0: 0}

    def of(self, bits: int) -> int:
        """Return the bytes of the records of these chunks."""
        if bits not in self._known:
            spans = (self._index.span(start, end) for start, end in _runs(bits))
            self._known[bits] = sum(stop - first for first, stop in spans)
        return self._known[bits]


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of set bits, ends exclusive."""
    at = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        bits >>= ones
        yield at + zeros, at + zeros + ones
        at += zeros + ones


# -- adding up ------------------------------------------------------------------------------


def _add(usage: Usage, repo_pk: int, needs: Needs, size: Callable[[int], int]) -> None:
    mine = needs.get(repo_pk, 0)
    theirs = 0
    for other, bits in needs.items():
        if other != repo_pk and bits & mine:
            theirs |= bits
            usage.shared_with[other] = usage.shared_with.get(other, 0) + size(bits & mine)
    usage.stored += size(mine)
    usage.unique += size(mine & ~theirs)


def _add_all(usages: Mapping[int, Usage], needs: Needs, size: Callable[[int], int]) -> None:
    once = twice = 0
    for bits in needs.values():
        twice |= once & bits
        once |= bits
    for repo_pk, bits in needs.items():
        if repo_pk in usages:  # a repository may be new
            usages[repo_pk].stored += size(bits)
            usages[repo_pk].unique += size(bits & ~twice)


async def _add_plain(
    usages: Mapping[int, Usage],
    rows: Sequence[_PlainBlob],
    holders_of: _Holders,
    *,
    list_repos: bool,
) -> None:
    holders = await holders_of.find([row.name for row in rows])
    for row in rows:
        repos = holders.get(row.name, [])
        for repo_pk in repos:
            usage = usages.get(repo_pk)
            if usage is None:
                continue
            usage.stored += row.bytes
            usage.unique += row.bytes if len(repos) == 1 else 0
            for other in repos if list_repos else ():
                if other != repo_pk:
                    usage.shared_with[other] = usage.shared_with.get(other, 0) + row.bytes
