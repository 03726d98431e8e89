"""The route table of git's smart protocol. A repository's name may end in ``.git``."""

from __future__ import annotations

from hubstead.repos import Right
from hubstead.wire import Doc, Route
from hubstead.wire.git.info_refs import info_refs
from hubstead.wire.git.receive_pack import receive_pack
from hubstead.wire.git.upload_pack import upload_pack

_WEB = "/{prefix}/{repo}"

ROUTES: list[Route] = [
    Route("GET", f"{_WEB}/info/refs", info_refs, Right.READ, "git", Doc(query="service")),
    Route("POST", f"{_WEB}/git-upload-pack", upload_pack, Right.READ, "git", only_reads=True),
    Route("POST", f"{_WEB}/git-receive-pack", receive_pack, Right.PROPOSE, "git"),
]
