"""What clients are told is here stays until they have committed it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hubstead.blobs import BlobKind, LinkedBlob, hold_blobs, linked_many
from hubstead.ids import is_sha256
from hubstead.wire import Request
from hubstead.wire.lfs.shapes import RequestedObject


async def hold_objects(
    request: Request, objects: Sequence[RequestedObject]
) -> dict[str, LinkedBlob]:
    """Return what the repository holds of these by oid, all of it kept for some time from now.

    What is damaged in the store is not held: its bytes have to be sent again.

    Raises:
        Unavailable: the store does not answer.
    """
    here = await linked_many(request.hub.db, request.repo.pk, BlobKind.LFS, names_of(objects))
    for name in await request.hub.stores.xet.damage.damaged_objects(list(here)):
        del here[name]
    if not here:
        return here
    hold = partial(
        hold_blobs,
        repo_pk=request.repo.pk,
        kind=BlobKind.LFS,
        names=list(here),
        hold_ms=int(request.hub.settings.blobs.hold_seconds * 1000),
    )
    return await request.hub.db.write(hold)


def names_of(objects: Sequence[RequestedObject]) -> list[str]:
    """Return the names of those that can have one, each once."""
    return list({each.oid for each in objects if is_sha256(each.oid)})
