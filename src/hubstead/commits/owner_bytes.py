"""The limit of bytes per owner: what its repositories use, and uploads that wait for a commit."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, select

from hubstead.blobs.tables import holds, repo_blobs
from hubstead.db import Reader, scan, total
from hubstead.errors import LimitReached
from hubstead.repos.tables import repos

_USED = scan(
    select(total(repos.c.used_bytes).label("n")).where(repos.c.owner_pk == bindparam("owner_pk")),
    int,
)
_HELD = scan(
    select(total(repo_blobs.c.bytes).label("n"))
    .join_from(repos, holds, holds.c.repo_pk == repos.c.pk)
    .join(
        repo_blobs,
        and_(
            repo_blobs.c.repo_pk == holds.c.repo_pk,
            repo_blobs.c.kind == holds.c.kind,
            repo_blobs.c.name == holds.c.name,
        ),
    )
    .where(repos.c.owner_pk == bindparam("owner_pk"), repo_blobs.c.committed == 0),
    int,
)


async def require_room_for_bytes(
    db: Reader, owner: str, owner_pk: int, limit: int, *, created: int, uploads: bool = False
) -> None:
    """Check that the repositories of an owner may use more bytes.

    Writes to several repositories of the owner at the same moment do not see one another, so
    together they may pass the limit once.

    Args:
        db: A reader, or the transaction that is about to add the bytes.
        owner: The owner's name, for the message.
        owner_pk: The owner.
        limit: The setting ``max_bytes_per_owner``.
        created: How many bytes a write is about to add.
        uploads: Count LFS files that wait for a commit, too: a further upload adds to them,
            while a commit only changes what they count as.

    Raises:
        LimitReached: the owner would have more than ``limit`` bytes.
    """
    if created <= 0:
        return
    used = await db.single(_USED, owner_pk=owner_pk)
    if uploads:
        used += await db.single(_HELD, owner_pk=owner_pk)
    if used + created > limit:
        setting = "max_bytes_per_owner"
        raise LimitReached(owner=owner, limit=limit, what="bytes", setting=setting)
