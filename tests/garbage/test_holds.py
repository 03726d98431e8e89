"""An object that a client need not send again stays until the client has committed it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from hubstead.garbage import collect_garbage
from tests.support.hub import SHAPES, ThreadHub

DATA = b"weights that went and come back"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_old_lfs_file_that_need_not_be_sent_again_can_be_committed(
    own_hub: Callable[..., ThreadHub], shape: str
) -> None:
    hub = own_hub(shape, blob_grace_seconds=0.0)
    anna = hub.user()
    repo = anna.repo()
    anna.api.upload_file(path_or_fileobj=DATA, path_in_repo="w.bin", repo_id=repo)
    anna.api.delete_file("w.bin", repo)
    anna.api.super_squash_history(repo)
    entry = {"oid": hashlib.sha256(DATA).hexdigest(), "size": len(DATA)}
    batch = {"operation": "upload", "transfers": ["basic"], "objects": [entry]}
    assert anna.call("POST", f"/{repo}.git/info/lfs/objects/batch", batch).json["objects"] == [
        entry
    ]
    for _ in range(2):
        hub.run(collect_garbage(hub.hub.stores, grace_ms=0, remove=True))
    file = {"path": "w.bin", "algo": "sha256", **entry}
    assert anna.commit(repo, {"key": "lfsFile", "value": file}).status == 200
    assert anna.call("GET", f"/{repo}/resolve/main/w.bin").body == DATA
