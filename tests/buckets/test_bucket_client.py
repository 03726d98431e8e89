"""Buckets by the real client with Xet: life, objects, copies, sync, file system and command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.hub import ThreadHub
from tests.support.person import Person

HF = str(Path(sys.executable).with_name("hf"))


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


def test_the_client_creates_lists_moves_and_deletes_buckets(
    anna: Person, live_hub: ThreadHub
) -> None:
    stranger = live_hub.user("bert")
    assert anna.api.create_bucket("logs", private=True).bucket_id == anna.path("logs")
    url = anna.api.create_bucket(anna.path("logs"), exist_ok=True)
    assert url.url == f"{live_hub.url}/buckets/{anna.path('logs')}"
    anna.api.create_bucket(anna.path("Open_data"))
    info = anna.api.bucket_info(anna.path("logs"))
    assert (info.id, info.private, info.size, info.total_files) == (anna.path("logs"), True, 0, 0)
    assert [one.id for one in anna.api.list_buckets()] == [
        anna.path("Open_data"),
        anna.path("logs"),
    ]
    assert [one.id for one in anna.api.list_buckets(search="open_D")] == [anna.path("Open_data")]
    assert [one.id for one in stranger.api.list_buckets(anna.name)] == [anna.path("Open_data")]
    assert anna.call("GET", "/api/buckets/me?limit=1").headers["link"]
    anna.api.update_bucket_settings(anna.path("logs"), private=False)
    assert len(list(stranger.api.list_buckets(anna.name))) == 2
    anna.api.move_bucket(anna.path("logs"), anna.path("traces"))
    assert anna.api.bucket_info(anna.path("logs")).id == anna.path("traces")
    anna.api.delete_bucket(anna.path("traces"))
    anna.api.delete_bucket(anna.path("traces"), missing_ok=True)
    assert [one.id for one in anna.api.list_buckets()] == [anna.path("Open_data")]
    assert anna.call("POST", "/api/repos/create", {"name": "x", "type": "bucket"}).status == 400


_OBJECTS = """
import sys, os
bucket, home = sys.argv[1:]
from huggingface_hub.errors import BucketNotFoundError, EntryNotFoundError
api.create_bucket(bucket)
names = ["a.bin", "logs/1.txt", "logs/sub/2.txt", "logs.json", "b c/%41+#?ü.txt", "back\\\\slash"]
data = {name: os.urandom(70_000) + name.encode() for name in names} | {"empty": b""}
os.makedirs(home, exist_ok=True)
path = os.path.join(home, "local.json")
open(path, "wb").write(b"{}" * 900)
os.utime(path, (1_600_000_000, 1_600_000_000.5))
api.batch_bucket_files(bucket, add=[*((one, name) for name, one in data.items()), (path, "l.json")])
data["l.json"] = b"{}" * 900
tree = {one.path: one for one in api.list_bucket_tree(bucket, recursive=True)}
assert set(tree) == set(data), tree
assert all(tree[name].size == len(one) for name, one in data.items())
assert tree["l.json"].mtime.timestamp() == 1_600_000_000.5
info = api.bucket_info(bucket)
assert (info.total_files, info.size) == (8, sum(map(len, data.values())))
shown = [(one.type, one.path) for one in api.list_bucket_tree(bucket, "logs")]
assert shown == [("file", "logs.json"), ("file", "logs/1.txt"), ("directory", "logs/sub")], shown
top = {one.path for one in api.list_bucket_tree(bucket)}
assert top == {name.partition("/")[0] for name in data}, top
files = [(name, os.path.join(home, str(at))) for at, name in enumerate(data)]
api.download_bucket_files(bucket, files)
for name, place in files:
    assert open(place, "rb").read() == data[name], name
assert [one.path for one in api.get_bucket_paths_info(bucket, ["empty", "none"])] == ["empty"]
other = bucket + "-2"
api.create_bucket(other)
api.copy_files(f"hf://buckets/{bucket}/logs/", f"hf://buckets/{other}/kept/")
api.batch_bucket_files(bucket, delete=["logs/1.txt", "logs/sub/2.txt", "never/was"])
assert api.bucket_info(bucket).total_files == 6
assert sorted(one.path for one in api.list_bucket_tree(other, recursive=True)) == [
    "kept/1.txt", "kept/sub/2.txt"]
api.download_bucket_files(other, [("kept/1.txt", os.path.join(home, "again"))])
assert open(os.path.join(home, "again"), "rb").read() == data["logs/1.txt"]
"""


def test_the_client_adds_lists_downloads_copies_and_deletes_objects(
    anna: Person, tmp_path: Path
) -> None:
    anna.python(_OBJECTS, anna.path("data"), str(tmp_path / "files"), home=tmp_path)


_COPIES = """
import sys
bucket, repo = sys.argv[1:]
api.create_bucket(bucket)
api.create_repo(repo)
api.upload_file(path_or_fileobj=b"w" * 300_000, path_in_repo="w/model.bin", repo_id=repo)
api.upload_file(path_or_fileobj=b"{}", path_in_repo="w/config.json", repo_id=repo)
api.copy_files(f"hf://{repo}/w", f"hf://buckets/{bucket}/from-repo/")
from huggingface_hub import HfFileSystem
fs = HfFileSystem(endpoint=api.endpoint, token=api.token)
root = f"buckets/{bucket}"
assert sorted(fs.find(root)) == [f"{root}/from-repo/config.json", f"{root}/from-repo/model.bin"]
with fs.open(f"{root}/new/x.txt", "w") as file:
    file.write("first line")
assert fs.read_text(f"{root}/new/x.txt") == "first line"
assert fs.cat_file(f"{root}/from-repo/model.bin", start=5, end=9) == b"wwww"
fs.mv(f"{root}/new/x.txt", f"{root}/new/y.txt")
fs.cp_file(f"{root}/new/y.txt", f"{root}/z.txt")
assert fs.glob(f"{root}/**/*.txt") == [f"{root}/new/y.txt", f"{root}/z.txt"]
assert fs.isdir(f"{root}/new") and not fs.exists(f"{root}/new/x.txt")
assert fs.info(f"{root}/z.txt")["size"] == 10
fs.rm(f"{root}/new", recursive=True)
assert sorted(fs.ls(root, detail=False)) == [f"{root}/from-repo", f"{root}/z.txt"]
"""


def test_the_file_system_reads_writes_moves_and_removes_objects(
    anna: Person, tmp_path: Path
) -> None:
    anna.python(_COPIES, anna.path("fs"), anna.path("bert"), home=tmp_path)


def test_hf_buckets_and_sync_work_by_the_command(anna: Person, tmp_path: Path) -> None:
    local, back = tmp_path / "local", tmp_path / "back"
    for name in ("a.txt", "sub/b.txt", "sub/c.log"):
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(name.encode() * 1000)
    bucket = anna.path("synced")

    def hf(*arguments: str) -> str:
        return anna.run(HF, *arguments, home=tmp_path / "home")

    hf("buckets", "create", bucket)
    hf("buckets", "sync", str(local), f"hf://buckets/{bucket}", "--exclude", "*.log")
    names = [one.path for one in anna.api.list_bucket_tree(bucket, recursive=True)]
    assert names == ["a.txt", "sub/b.txt"]
    plan = tmp_path / "plan.jsonl"
    hf("buckets", "sync", str(local), f"hf://buckets/{bucket}", "--plan", str(plan))
    operations = [json.loads(line) for line in plan.read_text().splitlines()]
    assert {one["path"]: one["action"] for one in operations if one["type"] == "operation"} == {
        "a.txt": "skip",
        "sub/b.txt": "skip",
        "sub/c.log": "upload",
    }
    (local / "a.txt").unlink()
    hf("buckets", "sync", str(local), f"hf://buckets/{bucket}", "--delete")
    names = [one.path for one in anna.api.list_bucket_tree(bucket, recursive=True)]
    assert names == ["sub/b.txt", "sub/c.log"]
    hf("buckets", "sync", f"hf://buckets/{bucket}", str(back))
    assert (back / "sub/c.log").read_bytes() == b"sub/c.log" * 1000
    assert "sub" in hf("buckets", "list", bucket)
    hf("buckets", "rm", f"{bucket}/sub/c.log", "--yes")
    hf("buckets", "delete", bucket, "--yes")
    assert list(anna.api.list_buckets()) == []
