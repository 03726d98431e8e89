"""The verify and lock requests of git-lfs."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.errors import BlobNotFound, NotFound
from hubstead.ids import is_sha256
from hubstead.wire import Request
from hubstead.wire.lfs.holds import hold_objects
from hubstead.wire.lfs.shapes import RequestedObject, lfs_error, lfs_response


async def verify(request: Request) -> ASGIApp:
    """Check that the repository has an object of this size."""
    requested = await request.json(RequestedObject)
    if not is_sha256(requested.oid):
        return lfs_error("The oid must be a sha256 in 64 lower-case hex digits", 422)
    row = (await hold_objects(request, [requested])).get(requested.oid)
    if row is None:
        raise BlobNotFound(name=requested.oid)
    if row.bytes != requested.size:
        return lfs_error(f"The object has {row.bytes} bytes, not {requested.size}", 422)
    return lfs_response({})


async def no_locks(_request: Request) -> ASGIApp:
    """Reject file locking; git-lfs ignores the error silently."""
    raise NotFound(reason="This server does not lock files")
