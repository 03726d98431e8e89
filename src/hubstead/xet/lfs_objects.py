"""Looks up the LFS objects of a repository and their Xet files.

One sha256 may have several files, because clients chunk differently. The result is the oldest one,
so that responses for a commit stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, func, select

from hubstead.blobs import BlobKey, BlobKind, StoredKey, stored_key
from hubstead.blobs.tables import blobs, repo_blobs
from hubstead.db import Reader, any_of, indexed, scan
from hubstead.errors import BlobDamaged
from hubstead.xet.tables import xet_files

_OF_REPO = and_(
    repo_blobs.c.repo_pk == bindparam("which_pk"), repo_blobs.c.kind == BlobKind.LFS.value
)
_OLDEST = (
    select(xet_files.c.name)
    .where(xet_files.c.sha256 == repo_blobs.c.name)
    .order_by(xet_files.c.pk)
    .limit(1)
    .correlate(repo_blobs)
    .scalar_subquery()
)


class _ObjectRow(NamedTuple):
    bytes: int
    committed: int
    reconstructable_ms: int | None
    stored: str | None
    damaged_ms: int | None
    file: str | None


_OBJECT = indexed(
    select(
        repo_blobs.c.bytes,
        repo_blobs.c.committed,
        blobs.c.reconstructable_ms,
        blobs.c.stored,
        blobs.c.damaged_ms,
        _OLDEST.label("file"),
    )
    .join_from(
        repo_blobs,
        blobs,
        and_(blobs.c.kind == repo_blobs.c.kind, blobs.c.name == repo_blobs.c.name),
    )
    .where(_OF_REPO, repo_blobs.c.name == bindparam("which_name")),
    _ObjectRow,
)


class _OldestFile(NamedTuple):
    sha256: str
    pk: int


_FILES = scan(
    select(xet_files.c.sha256, func.min(xet_files.c.pk).label("pk"))
    .join_from(repo_blobs, xet_files, xet_files.c.sha256 == repo_blobs.c.name)
    .where(_OF_REPO, any_of(repo_blobs.c.name, "names"))
    .group_by(xet_files.c.sha256),
    _OldestFile,
)


class _NamedFile(NamedTuple):
    pk: int
    name: str


_NAMES = scan(
    select(xet_files.c.pk, xet_files.c.name).where(any_of(xet_files.c.pk, "pks")), _NamedFile
)


class _NamedSha256(NamedTuple):
    name: str
    sha256: str


_SHA256S = scan(
    select(xet_files.c.name, xet_files.c.sha256)
    .join_from(xet_files, repo_blobs, xet_files.c.sha256 == repo_blobs.c.name)
    .where(_OF_REPO, any_of(xet_files.c.name, "names")),
    _NamedSha256,
)


class LfsObject(msgspec.Struct, frozen=True):
    """An LFS object of a repository."""

    sha256: str
    bytes: int
    committed: bool  # False: uploaded, but in no commit yet
    is_plain: bool  # whether it is stored as one blob
    file: str | None  # the hash of its Xet file, if it can be reconstructed from xorbs
    stored: str | None = None  # the stored name of its blob, if not the sha256
    is_damaged: bool = False  # its row is marked: a check rejected its plain bytes

    @property
    def key(self) -> BlobKey:
        """The blob."""
        return BlobKey(BlobKind.LFS, self.sha256)

    @property
    def place(self) -> StoredKey:
        """The key of its blob in the store, if it is plain."""
        return stored_key(self.key, self.stored)

    def require_intact(self) -> None:
        """Check the mark of damage of an object that is to be sent as one blob.

        Raises:
            BlobDamaged: the row is marked.
        """
        if self.is_plain and self.is_damaged:
            raise BlobDamaged(blob=str(self.key), fault="its bytes are marked as damaged")


async def find_lfs_object(db: Reader, repo_pk: int, sha256: str) -> LfsObject | None:
    """Return an LFS object, or None if the repository does not have it."""
    row = await db.one(_OBJECT, which_pk=repo_pk, which_name=sha256)
    if row is None:
        return None
    is_plain = row.reconstructable_ms is None
    return LfsObject(
        sha256,
        row.bytes,
        bool(row.committed),
        is_plain,
        row.file,
        row.stored,
        is_plain and row.damaged_ms is not None,
    )


async def xet_hashes(db: Reader, repo_pk: int, sha256s: Sequence[str]) -> dict[str, str]:
    """Return the Xet file hashes of a repository's LFS objects by sha256, if they have any."""
    if not sha256s:
        return {}
    rows = await db.all(_FILES, which_pk=repo_pk, names=list(sha256s))
    files = await db.all(_NAMES, pks=[row.pk for row in rows]) if rows else []
    names = {row.pk: row.name for row in files}
    return {row.sha256: names[row.pk] for row in rows if row.pk in names}


async def sha256s_of_files(db: Reader, repo_pk: int, files: Sequence[str]) -> dict[str, str]:
    """Return the sha256s of those Xet files whose content a repository links, by hash."""
    if not files:
        return {}
    rows = await db.all(_SHA256S, which_pk=repo_pk, names=list(files))
    return {row.name: row.sha256 for row in rows}
