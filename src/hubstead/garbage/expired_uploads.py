"""Counts uploads that were not committed or completed in time."""

from __future__ import annotations

from collections.abc import Mapping

from hubstead.blobs import UploadTotal, total_holds, total_uploads
from hubstead.commits import Storage
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState
from hubstead.ids import RepoId
from hubstead.repos import repo_ids

HOLD_EXPIRED = "uploaded, not committed in time"
HELD = "uploaded, waiting to be committed"
PARTS_EXPIRED = "multipart upload, not completed in time"
PARTS_HELD = "multipart upload, waiting for its parts"


async def count_expired_uploads(storage: Storage) -> list[GarbageCount]:
    """Count expired uploads, and uploads that can still be committed or completed."""
    holds, uploads = await total_holds(storage.db), await total_uploads(storage.db)
    ids = await repo_ids(storage.db, [total.repo_pk for total in [*holds, *uploads]])
    counts = [_count(total, ids, GarbageKind.HOLD, HOLD_EXPIRED, HELD) for total in holds]
    counts += [
        _count(total, ids, GarbageKind.PARTS, PARTS_EXPIRED, PARTS_HELD) for total in uploads
    ]
    return [count for count in counts if count.repository is not None]


def _count(
    total: UploadTotal, ids: Mapping[int, RepoId], what: GarbageKind, expired: str, waiting: str
) -> GarbageCount:
    """Count one total; without the name of a repository that was deleted just now."""
    repo_id = ids.get(total.repo_pk)
    name = f"{repo_id.kind.plural}/{repo_id}" if repo_id else None
    when, reason = (GarbageState.NOW, expired) if total.expired else (GarbageState.LATER, waiting)
    return GarbageCount(what, when, reason, total.objects, total.bytes, name)
