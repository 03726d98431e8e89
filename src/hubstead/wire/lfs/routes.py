"""The table of the LFS API. git-lfs and the clients put ``.git`` behind the repository's name."""

from __future__ import annotations

from hubstead.repos import Right
from hubstead.wire.http import Access, Route, Says
from hubstead.wire.lfs.asking import no_locks, verify
from hubstead.wire.lfs.batch import batch
from hubstead.wire.lfs.shapes import (
    MEDIA_TYPE,
    AskedObject,
    BatchAnswer,
    BatchRequest,
    Completion,
)
from hubstead.wire.lfs.transfers import complete, download, upload, upload_part

_LFS = "/{prefix}/{repo}/info/lfs"
_BATCH = Says(body=BatchRequest, answer=BatchAnswer, media_type=MEDIA_TYPE)
_VERIFY = Says(body=AskedObject, media_type=MEDIA_TYPE)
_COMPLETE = Says(body=Completion, media_type=MEDIA_TYPE)
_BYTES = Says(media_type="application/octet-stream")

ROUTES: list[Route] = [
    # What a batch needs depends on its body: the handler asks for the rest.
    Route("POST", f"{_LFS}/objects/batch", batch, Right.READ, "lfs", _BATCH),
    Route("POST", f"{_LFS}/verify", verify, Right.WRITE, "lfs", _VERIFY),
    Route("GET", f"{_LFS}/locks", no_locks, Right.READ, "lfs"),
    Route("POST", f"{_LFS}/locks", no_locks, Right.READ, "lfs"),
    Route("POST", f"{_LFS}/locks/verify", no_locks, Right.READ, "lfs"),
    # Signed: whoever has the address is asked for nothing else, and any Authorization ignored.
    Route("PUT", "/api/lfs/upload/{oid}", upload, Access.OPEN, "lfs", _BYTES),
    Route("PUT", "/api/lfs/parts/{upload}/{number}", upload_part, Access.OPEN, "lfs", _BYTES),
    Route("POST", "/api/lfs/parts/{upload}", complete, Access.OPEN, "lfs", _COMPLETE),
    Route("GET", "/api/lfs/download/{oid}", download, Access.OPEN, "lfs", _BYTES),
]
