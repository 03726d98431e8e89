"""Jobs of the room: expire holds and uploads, delete unreferenced blobs, mark orphans."""

from __future__ import annotations

from hubstead.blobs.deletion import delete_unreferenced
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKind
from hubstead.blobs.links import expire_holds
from hubstead.blobs.multipart import expire_uploads
from hubstead.blobs.orphans import mark_orphans
from hubstead.blobs.xet_backed import delete_plain_copies
from hubstead.db import Database
from hubstead.jobs import Job, JobType
from hubstead.settings import BlobSettings

EXPIRE = "blobs.let_go"
DELETE_UNREFERENCED = "blobs.delete"
SWEEP = "blobs.sweep"
MARK_ORPHANS = "blobs.strays"

_DAY_S = 86_400.0


def blob_jobs(
    db: Database, store: BlobStore, settings: BlobSettings, *, pack_grace_s: float
) -> list[JobType]:
    """Return the room's types of jobs; every job runs until no work is left.

    Args:
        db: The database.
        store: The store of blobs.
        settings: How long blobs stay.
        pack_grace_s: How long unreferenced packs of git stay, in seconds.
    """

    async def expire(_job: Job) -> None:
        while await expire_holds(db):
            pass
        while await expire_uploads(db, store):
            pass

    async def delete(_job: Job) -> None:
        # In sequence: a late first step could delete bytes of an upload that follows the second.
        grace_ms = int(settings.grace_seconds * 1000)
        while await delete_plain_copies(db, store, grace_ms=grace_ms):
            pass
        while await delete_unreferenced(db, store, grace_ms=grace_ms):
            pass
        # A node that misses a pack reads the rows of the repository again, so minutes are enough.
        grace_ms = int(pack_grace_s * 1000)
        while await delete_unreferenced(db, store, grace_ms=grace_ms, kind=BlobKind.PACK):
            pass

    async def sweep(_job: Job) -> None:
        # An upload or a signed address is valid for at most the longer of the two.
        longest = max(settings.hold_seconds, settings.signed_url_seconds)
        await store.sweep(2 * longest + _DAY_S)

    async def orphans(_job: Job) -> None:
        for kind in BlobKind:
            await mark_orphans(db, store, kind, older_than_s=_DAY_S)

    return [
        JobType(name=EXPIRE, handler=expire, interval_s=600.0),
        JobType(name=DELETE_UNREFERENCED, handler=delete, interval_s=600.0),
        JobType(name=SWEEP, handler=sweep, interval_s=6 * 3600.0),
        JobType(name=MARK_ORPHANS, handler=orphans, interval_s=_DAY_S),
    ]
