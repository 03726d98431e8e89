"""What a bucket reaches is never collected; backups hold it; the doctor checks it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete

from hubstead.blobs import BlobKey, BlobKind, linking_repos
from hubstead.buckets.tables import bucket_objects
from hubstead.db import indexed
from hubstead.doctor import Inspection, run_checks
from hubstead.garbage import collect_garbage
from tests.support.hub import ThreadHub
from tests.support.person import Person

_UPLOAD = """
bucket, = args
api.create_bucket(bucket, exist_ok=True)
data = b"checkpoint " * 30_000
api.batch_bucket_files(bucket, add=[(data, "a/1.bin"), (data, "a/2.bin"), (b"old", "b")])
api.batch_bucket_files(bucket, add=[(b"new", "b")])
"""
OLD = hashlib.sha256(b"old").hexdigest()
DATA = b"checkpoint " * 30_000


def delete_objects(anna: Person, bucket: str, *paths: str) -> None:
    body = "\n".join(json.dumps({"type": "deleteFile", "path": path}) for path in paths)
    assert anna.call("POST", f"/api/buckets/{bucket}/batch", body).status == 200


def collect(hub: ThreadHub) -> None:
    for _ in range(3):
        hub.run(collect_garbage(hub.hub.stores, grace_ms=0, remove=True))


def test_bytes_stay_while_an_object_names_them_and_go_after_it(
    own_hub: Callable[..., ThreadHub], tmp_path: Path
) -> None:
    hub = own_hub(blob_grace_seconds=0.0)
    anna = hub.user()
    bucket = anna.path("runs")
    anna.python(_UPLOAD, bucket, home=tmp_path)
    collect(hub)
    assert anna.call("GET", f"/buckets/{bucket}/resolve/a/1.bin").body == DATA
    ranged = {"Range": "bytes=11-14"}
    response = anna.call("GET", f"/buckets/{bucket}/resolve/a%2F2.bin", None, **ranged)
    assert (response.status, response.body) == (206, b"chec")
    assert anna.call("GET", f"/buckets/{bucket}/resolve/b").body == b"new"
    delete_objects(anna, bucket, "a/1.bin")
    collect(hub)
    assert anna.call("GET", f"/buckets/{bucket}/resolve/a/2.bin").body == DATA
    (info,) = anna.call("GET", "/api/buckets/me").json
    assert (info["size"], info["totalFiles"]) == (len(DATA) + 3, 2)
    assert hub.run(linking_repos(hub.db, BlobKey(BlobKind.LFS, OLD))) == []
    findings = hub.run(examined(hub))
    assert findings == []
    hub.run(hub.db.execute(indexed(delete(bucket_objects))))
    assert [found for found in hub.run(examined(hub)) if "counters" in found]


async def examined(hub: ThreadHub) -> list[str]:
    inspection = Inspection(hub.hub.stores)
    return [f"{one.check}: {one.what}" async for one in run_checks(inspection)]
