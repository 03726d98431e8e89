"""Uploads that nobody committed or completed in time."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, select

from hubstead.accounts.tables import account
from hubstead.blobs.tables import hold, repo_blob, upload
from hubstead.commits import Stores
from hubstead.db import Row, scan
from hubstead.garbage.findings import Heap, What, When
from hubstead.ids import Kind, now_ms
from hubstead.repos.tables import repo

HOLD_OVER = "uploaded, not committed in time"
HELD = "uploaded, waiting to be committed"
PARTS_OVER = "begun in parts, not completed in time"
PARTS_HELD = "begun in parts, waiting for the rest"

_NAME = (repo.c.kind, account.c.name.label("owner"), repo.c.name)
_HOLDS = scan(
    select(
        *_NAME,
        (hold.c.until_ms < bindparam("now_ms")).label("over"),
        func.count().label("things"),
        func.sum(repo_blob.c.bytes).label("bytes"),
    )
    .join_from(
        hold,
        repo_blob,
        and_(
            repo_blob.c.repo_pk == hold.c.repo_pk,
            repo_blob.c.kind == hold.c.kind,
            repo_blob.c.name == hold.c.name,
            repo_blob.c.committed == 0,
        ),
    )
    .join(repo, repo.c.pk == hold.c.repo_pk)
    .join(account, account.c.pk == repo.c.owner_pk)
    .group_by(*_NAME, (hold.c.until_ms < bindparam("now_ms")))
)
_UPLOADS = scan(
    select(
        *_NAME,
        (upload.c.expires_ms <= bindparam("now_ms")).label("over"),
        func.count().label("things"),
        func.sum(upload.c.bytes).label("bytes"),
    )
    .join_from(upload, repo, repo.c.pk == upload.c.repo_pk)
    .join(account, account.c.pk == repo.c.owner_pk)
    .group_by(*_NAME, (upload.c.expires_ms <= bindparam("now_ms")))
)


async def lapsed(stores: Stores) -> list[Heap]:
    """Count uploads that were given up, and those that may still be completed."""
    now = now_ms()
    holds = await stores.db.all(_HOLDS, now_ms=now)
    uploads = await stores.db.all(_UPLOADS, now_ms=now)
    found = [_heap(row, What.HOLD, HOLD_OVER, HELD) for row in holds]
    found += [_heap(row, What.PARTS, PARTS_OVER, PARTS_HELD) for row in uploads]
    return found


def _heap(row: Row, what: What, over: str, waiting: str) -> Heap:
    name = f"{Kind(row.kind).plural}/{row.owner}/{row.name}"
    when, reason = (When.NOW, over) if row.over else (When.LATER, waiting)
    return Heap(what, when, reason, row.things, int(row.bytes), name)
