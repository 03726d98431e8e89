"""Upload holds: objects that a batch reports as present stay until the client commits them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hubstead.blobs import BlobKind, LinkedBlob, hold_blobs, linked_many
from hubstead.ids import is_sha256
from hubstead.repos import Right, allows
from hubstead.wire import Request
from hubstead.wire.lfs.shapes import RequestedObject


async def hold_objects(
    request: Request, objects: Sequence[RequestedObject]
) -> dict[str, LinkedBlob]:
    """Place upload holds on the objects that the repository has; return their links by oid.

    For a caller who may only propose, what others uploaded and no commit names is not there.
    Damaged objects get no hold and are left out: the client has to send their bytes again.

    Raises:
        Unavailable: the store does not answer.
    """
    linked = await linked_many(request.hub.db, request.repo.pk, BlobKind.LFS, names_of(objects))
    for name in await request.hub.stores.xet.damage.damaged_objects(list(linked)):
        del linked[name]
    if not allows(request.repo, request.actor, Right.WRITE):
        linked = {name: row for name, row in linked.items() if row.is_of(request.actor.pk)}
    if not linked:
        return linked
    hold = partial(
        hold_blobs,
        repo_pk=request.repo.pk,
        kind=BlobKind.LFS,
        names=list(linked),
        hold_ms=int(request.hub.settings.blobs.hold_seconds * 1000),
    )
    return await request.hub.db.write(hold)


def names_of(objects: Sequence[RequestedObject]) -> list[str]:
    """Return the distinct valid oids among ``objects``."""
    return list({obj.oid for obj in objects if is_sha256(obj.oid)})
