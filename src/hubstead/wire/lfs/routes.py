"""The routes of the LFS API. git-lfs and the clients append ``.git`` to the repository name."""

from __future__ import annotations

from hubstead.repos import Right
from hubstead.wire import Access, Doc, Route
from hubstead.wire.lfs.batch import batch
from hubstead.wire.lfs.shapes import (
    MEDIA_TYPE,
    BatchRequest,
    BatchResponse,
    Completion,
    RequestedObject,
)
from hubstead.wire.lfs.transfers import complete, download, upload, upload_part
from hubstead.wire.lfs.verify import no_locks, verify

_LFS = "/{prefix}/{repo}/info/lfs"
_BATCH = Doc(body=BatchRequest, answer=BatchResponse, media_type=MEDIA_TYPE)
_VERIFY = Doc(body=RequestedObject, media_type=MEDIA_TYPE)
_COMPLETE = Doc(body=Completion, media_type=MEDIA_TYPE)
_BYTES = Doc(media_type="application/octet-stream")

ROUTES: list[Route] = [
    # The right that a batch needs, and whether it writes, depends on its body: see the handler.
    Route("POST", f"{_LFS}/objects/batch", batch, Right.VIEW, "lfs", _BATCH, only_reads=True),
    Route("POST", f"{_LFS}/verify", verify, Right.PROPOSE, "lfs", _VERIFY),
    Route("GET", f"{_LFS}/locks", no_locks, Right.VIEW, "lfs"),
    Route("POST", f"{_LFS}/locks", no_locks, Right.VIEW, "lfs", only_reads=True),
    Route("POST", f"{_LFS}/locks/verify", no_locks, Right.VIEW, "lfs", only_reads=True),
    # Signed URLs: the signature is the only credential, any Authorization header is ignored.
    Route("PUT", "/api/lfs/upload/{oid}", upload, Access.OPEN, "lfs", _BYTES),
    Route("PUT", "/api/lfs/parts/{upload}/{number}", upload_part, Access.OPEN, "lfs", _BYTES),
    Route("POST", "/api/lfs/parts/{upload}", complete, Access.OPEN, "lfs", _COMPLETE),
    Route("GET", "/api/lfs/download/{oid}", download, Access.OPEN, "lfs", _BYTES),
]
