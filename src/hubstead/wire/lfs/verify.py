"""The small calls of git-lfs: has an object arrived; may files be locked."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.errors import BlobNotFound, NotFound
from hubstead.ids import is_sha256
from hubstead.wire import Request
from hubstead.wire.lfs.holds import hold_objects
from hubstead.wire.lfs.shapes import RequestedObject, lfs_error, lfs_response


async def verify(request: Request) -> ASGIApp:
    """Say whether an object has arrived in this repository."""
    asked = await request.json(RequestedObject)
    if not is_sha256(asked.oid):
        return lfs_error("The oid must be a sha256 in 64 lower-case hex digits", 422)
    row = (await hold_objects(request, [asked])).get(asked.oid)
    if row is None:
        raise BlobNotFound(name=asked.oid)
    if row.bytes != asked.size:
        return lfs_error(f"The object has {row.bytes} bytes, not {asked.size}", 422)
    return lfs_response({})


async def no_locks(_request: Request) -> ASGIApp:
    """Say that files cannot be locked, which git-lfs takes silently."""
    raise NotFound(reason="This server does not lock files")
