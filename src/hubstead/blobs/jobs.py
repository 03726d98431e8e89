"""Jobs of the room: expire holds and uploads, delete unreferenced blobs, mark orphans."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hubstead.blobs.deletion import delete_unreferenced
from hubstead.blobs.interface import BlobStore
from hubstead.blobs.keys import BlobKind
from hubstead.blobs.links import expire_holds
from hubstead.blobs.multipart import expire_uploads
from hubstead.blobs.orphans import mark_orphans
from hubstead.blobs.xet_backed import delete_plain_copies
from hubstead.db import Database
from hubstead.settings import Settings

LET_GO = "blobs.let_go"
DELETE = "blobs.delete"
SWEEP = "blobs.sweep"
STRAYS = "blobs.strays"

_DAY_S = 86_400.0

#: The period of every job, in seconds.
EVERY_S = {LET_GO: 600.0, DELETE: 600.0, SWEEP: 6 * 3600.0, STRAYS: _DAY_S}


def handlers(
    db: Database, store: BlobStore, settings: Settings
) -> dict[str, Callable[[object], Awaitable[None]]]:
    """Return the handlers of this room's jobs; every handler runs until no work is left."""

    async def expire(_job: object) -> None:
        while await expire_holds(db):
            pass
        while await expire_uploads(db, store):
            pass

    async def delete(_job: object) -> None:
        # In sequence: a late first step could delete bytes of an upload that follows the second.
        grace_ms = int(settings.blobs.grace_seconds * 1000)
        while await delete_plain_copies(db, store, grace_ms=grace_ms):
            pass
        while await delete_unreferenced(db, store, grace_ms=grace_ms):
            pass
        # A node that misses a pack reads the rows of the repository again, so minutes are enough.
        grace_ms = int(settings.git.pack_grace_seconds * 1000)
        while await delete_unreferenced(db, store, grace_ms=grace_ms, kind=BlobKind.PACK):
            pass

    async def sweep(_job: object) -> None:
        # An upload or a signed address is valid for at most the longer of the two.
        longest = max(settings.blobs.hold_seconds, settings.blobs.signed_url_seconds)
        await store.sweep(2 * longest + _DAY_S)

    async def orphans(_job: object) -> None:
        for kind in BlobKind:
            await mark_orphans(db, store, kind, older_than_s=_DAY_S)

    return {LET_GO: expire, DELETE: delete, SWEEP: sweep, STRAYS: orphans}
