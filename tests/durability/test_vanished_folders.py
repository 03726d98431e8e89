"""Missing folders of a running hub: 503 for content that the database has, on every wire."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tests.durability.test_full_disk import LFS, READS, Writer
from tests.support.hub import running_hub

ALL_READS = (
    *READS,
    "/admin/m/resolve/main/small.bin",
    "/admin/m/resolve/main/large.bin",
    "/admin/m/info/refs?service=git-upload-pack",
)


def filled(writer: Writer) -> bytes:
    """Add a file in git and one in the store to the repository; return the latter."""
    large = b"large" * 1000
    oid = hashlib.sha256(large).hexdigest()
    writer.node.call("POST", "/api/repos/create", {"name": "m"})
    objects = {"operation": "upload", "objects": [{"oid": oid, "size": len(large)}]}
    batch = writer.node.call("POST", "/admin/m.git/info/lfs/objects/batch", objects, **LFS)
    action = batch.json["objects"][0]["actions"]["upload"]
    assert writer.node.call("PUT", action["href"], large, token="").status == 200
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(large)}\n"
    assert writer.commit_file("large.bin", pointer.encode()).status == 200
    assert writer.commit_file("small.bin", b"small").status == 200
    return large


def test_missing_git_folders_are_503_until_they_are_back(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as node:
        writer = Writer(node)
        large = filled(writer)
        git = tmp_path / "hub/git"
        shutil.move(git, tmp_path / "away")
        responses = {path: node.call("GET", path) for path in ALL_READS}
        statuses = {path: response.status for path, response in responses.items()}
        assert set(statuses.values()) <= {200, 503}, statuses
        assert statuses["/admin/m/info/refs?service=git-upload-pack"] == 503
        assert statuses["/admin/m/resolve/main/small.bin"] == 503
        for write in (writer.commit, writer.tag, writer.create):
            refused = write()
            assert refused.status in (200, 503), (write, refused.status, refused.body)
        shutil.rmtree(git, ignore_errors=True)
        shutil.move(tmp_path / "away", git)
        for path in ALL_READS:
            assert node.call("GET", path).status == 200, path
        assert node.call("GET", "/admin/m/resolve/main/large.bin").body == large
        assert writer.commit().status == 200


def test_missing_blobs_are_503_until_they_are_back(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as node:
        writer = Writer(node)
        large = filled(writer)
        blobs = tmp_path / "hub/blobs"
        shutil.move(blobs, tmp_path / "away")
        response = node.call("GET", "/admin/m/resolve/main/large.bin")
        assert response.status == 503, (response.status, response.body)
        assert node.call("GET", "/admin/m/resolve/main/small.bin").body == b"small"
        sent = writer.upload()
        assert sent.status in (200, 503), (sent.status, sent.body)
        shutil.copytree(tmp_path / "away", blobs, dirs_exist_ok=True)
        assert node.call("GET", "/admin/m/resolve/main/large.bin").body == large
        assert writer.upload().status == 200
