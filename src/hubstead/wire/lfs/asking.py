"""The small calls of git-lfs: has an object arrived; may files be locked."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubstead.errors import BlobNotFound, NotFound
from hubstead.ids import is_sha256
from hubstead.wire.http import Call
from hubstead.wire.lfs.keeping import kept
from hubstead.wire.lfs.shapes import AskedObject, lfs_answer, lfs_refusal


async def verify(call: Call) -> ASGIApp:
    """Say whether an object has arrived in this repository."""
    asked = await call.json(AskedObject)
    if not is_sha256(asked.oid):
        return lfs_refusal("The oid must be a sha256 in 64 lower-case hex digits", 422)
    row = (await kept(call, [asked])).get(asked.oid)
    if row is None:
        raise BlobNotFound(name=asked.oid)
    if row.bytes != asked.size:
        return lfs_refusal(f"The object has {row.bytes} bytes, not {asked.size}", 422)
    return lfs_answer({})


async def no_locks(_call: Call) -> ASGIApp:
    """Say that files cannot be locked, which git-lfs takes silently."""
    raise NotFound(reason="This server does not lock files")
