"""The table of git's smart protocol. A repository's name may have ``.git`` behind it."""

from __future__ import annotations

from hubstead.repos import Right
from hubstead.wire.http import Route, Says
from hubstead.wire.smart_http.advertising import info_refs
from hubstead.wire.smart_http.fetching import upload_pack
from hubstead.wire.smart_http.pushing import receive_pack

_WEB = "/{prefix}/{repo}"

ROUTES: list[Route] = [
    Route("GET", f"{_WEB}/info/refs", info_refs, Right.CONTENT, "git", Says(query="service")),
    Route("POST", f"{_WEB}/git-upload-pack", upload_pack, Right.CONTENT, "git"),
    Route("POST", f"{_WEB}/git-receive-pack", receive_pack, Right.WRITE, "git"),
]
