"""The small calls of git-lfs: has an object arrived; may files be locked."""

from __future__ import annotations

from functools import partial

from starlette.types import ASGIApp

from hubstead.blobs import BlobKey, BlobKind, held, hold_again
from hubstead.errors import BlobNotFound, NotFound
from hubstead.ids import is_sha256
from hubstead.wire.http import Call
from hubstead.wire.lfs.shapes import AskedObject, lfs_answer, lfs_refusal


async def verify(call: Call) -> ASGIApp:
    """Say whether an object has arrived in this repository."""
    asked = await call.json(AskedObject)
    if not is_sha256(asked.oid):
        return lfs_refusal("The oid must be a sha256 in 64 lower-case hex digits", 422)
    key = BlobKey(BlobKind.LFS, asked.oid)
    row = await held(call.hub.db, call.repo.pk, key)
    if row is not None and not row.committed:
        hold_ms = int(call.hub.settings.hold_seconds * 1000)
        again = partial(hold_again, repo_pk=call.repo.pk, key=key, hold_ms=hold_ms)
        row = await call.hub.db.write(again)
    if row is None:
        raise BlobNotFound(name=asked.oid)
    if row.bytes != asked.size:
        return lfs_refusal(f"The object has {row.bytes} bytes, not {asked.size}", 422)
    return lfs_answer({})


async def no_locks(_call: Call) -> ASGIApp:
    """Say that files cannot be locked, which git-lfs takes silently."""
    raise NotFound(reason="This server does not lock files")
