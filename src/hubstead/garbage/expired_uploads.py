"""Counts uploads that were not committed or completed in time."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, func, select

from hubstead.accounts.tables import accounts
from hubstead.blobs.tables import holds, repo_blobs, uploads
from hubstead.commits import Storage
from hubstead.db import DatabaseNow, scan, total
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.ids import Kind
from hubstead.repos.tables import repos

HOLD_EXPIRED = "uploaded, not committed in time"
HELD = "uploaded, waiting to be committed"
PARTS_EXPIRED = "multipart upload, not completed in time"
PARTS_HELD = "multipart upload, waiting for its parts"

_NAME = (repos.c.kind, accounts.c.name.label("owner"), repos.c.name)


class _Sum(NamedTuple):
    kind: str
    owner: str
    name: str
    expired: bool
    things: int
    bytes: int


_HOLDS = scan(
    select(
        *_NAME,
        (holds.c.until_ms < DatabaseNow()).label("expired"),
        func.count().label("things"),
        total(repo_blobs.c.bytes).label("bytes"),
    )
    .join_from(
        holds,
        repo_blobs,
        and_(
            repo_blobs.c.repo_pk == holds.c.repo_pk,
            repo_blobs.c.kind == holds.c.kind,
            repo_blobs.c.name == holds.c.name,
            repo_blobs.c.committed == 0,
        ),
    )
    .join(repos, repos.c.pk == holds.c.repo_pk)
    .join(accounts, accounts.c.pk == repos.c.owner_pk)
    .group_by(*_NAME, (holds.c.until_ms < DatabaseNow())),
    _Sum,
)
_UPLOADS = scan(
    select(
        *_NAME,
        (uploads.c.expires_ms <= DatabaseNow()).label("expired"),
        func.count().label("things"),
        total(uploads.c.bytes).label("bytes"),
    )
    .join_from(uploads, repos, repos.c.pk == uploads.c.repo_pk)
    .join(accounts, accounts.c.pk == repos.c.owner_pk)
    .group_by(*_NAME, (uploads.c.expires_ms <= DatabaseNow())),
    _Sum,
)


async def count_expired_uploads(storage: Storage) -> list[GarbageCount]:
    """Count expired uploads, and uploads that can still be committed or completed."""
    holds = await storage.db.all(_HOLDS)
    uploads = await storage.db.all(_UPLOADS)
    counts = [_count(row, GarbageKind.HOLD, HOLD_EXPIRED, HELD) for row in holds]
    counts += [_count(row, GarbageKind.PARTS, PARTS_EXPIRED, PARTS_HELD) for row in uploads]
    return counts


def _count(row: _Sum, what: GarbageKind, expired: str, waiting: str) -> GarbageCount:
    name = f"{Kind(row.kind).plural}/{row.owner}/{row.name}"
    when, reason = (GarbageState.NOW, expired) if row.expired else (GarbageState.LATER, waiting)
    return GarbageCount(what, when, reason, row.things, row.bytes, name)
