"""The real client as installed, with Xet on: its transfers, and their ways."""

from __future__ import annotations

import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.rows import reading

pytestmark = pytest.mark.long  # every client is a process of its own

HF = str(Path(sys.executable).with_name("hf"))


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


#: Files like a model's: some large ones, one of them in a folder, and small ones.
FILES = {
    "model-1.safetensors": noise(3 << 20, 1),
    "sub/model-2.safetensors": noise(1 << 20, 1) + b"0" * 300_000,
    "tiny.bin": b"x",
    "empty.bin": b"",
    "repeated.bin": noise(100_000, 2) * 12,
    "config.json": b"{}",
    "README.md": b"# bert\n",
}
LARGE = [name for name, data in FILES.items() if not name.endswith((".json", ".md")) and data]


@dataclass(frozen=True)
class ClientMachine:
    """A user with a separate machine."""

    person: Person
    home: Path

    @property
    def hub(self) -> ThreadHub:
        return self.person.hub

    def python(self, script: str, *arguments: str, xet: bool = True, **env: str) -> str:
        return self.person.python(script, *arguments, home=self.home, xet=xet, **env)

    def hf(self, *arguments: str, xet: bool = True) -> str:
        return self.person.run(HF, *arguments, home=self.home, xet=xet)

    def folder(self, files: Mapping[str, bytes] = FILES, name: str = "files") -> str:
        for path, data in files.items():
            target = self.home / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return str(self.home / name)

    def is_xet(self, repo_id: str, path: str, kind: str = "") -> bool:
        target = f"/{kind}{repo_id}/resolve/main/{path}"
        return "x-xet-hash" in self.person.call("HEAD", target).headers

    def check(self, repo_id: str, files: Mapping[str, bytes] = FILES, kind: str = "") -> None:
        """Compare every file with its content over plain HTTP."""
        for path, data in files.items():
            response = self.person.call("GET", f"/{kind}{repo_id}/resolve/main/{path}")
            assert (response.status, response.body) == (200, data), path

    def calls(self, part: str) -> int:
        """Count the requests so far whose route has ``part`` in its pattern."""
        text = self.hub.call("GET", "/metrics").body.decode()
        lines = re.findall(r'^hubstead_requests_total\{route="([^"]*)".*\} ([\d.]+)', text, re.M)
        return int(sum(float(count) for route, count in lines if part in route))


@pytest.fixture
def anna(live_hub: ThreadHub, tmp_path: Path) -> ClientMachine:
    return ClientMachine(live_hub.user("anna"), tmp_path)


@pytest.fixture(scope="module")
def stored(live_hub: ThreadHub, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A repository with ``FILES`` that a client has uploaded by Xet."""
    anna = ClientMachine(live_hub.user("carl"), tmp_path_factory.mktemp("carl"))
    repo = anna.person.repo()
    script = "api.upload_folder(repo_id=args[0], folder_path=args[1])"
    anna.python(script, repo, anna.folder())
    return repo


def read(folder: Path, files: Mapping[str, bytes] = FILES) -> None:
    """Compare the files of a folder with their content."""
    for path, data in files.items():
        assert (folder / path).read_bytes() == data, path


# -- uploads -----------------------------------------------------------------------------------


def test_a_folder_is_uploaded_by_xet_completely(anna: ClientMachine, stored: str) -> None:
    for path in LARGE:
        assert anna.is_xet(stored, path), path
    for path in ("config.json", "README.md", "empty.bin"):
        assert not anna.is_xet(stored, path), path
    anna.check(stored)


@pytest.mark.parametrize("kind", ["model", "dataset", "space", "kernel"])
def test_a_file_is_uploaded_to_a_repository_of_any_kind(anna: ClientMachine, kind: str) -> None:
    repo = anna.person.repo("any", kind)
    data = noise(200_000, 3)
    script = """
    api.upload_file(repo_id=args[0], repo_type=args[1], path_or_fileobj=args[2],
                    path_in_repo="a.bin")
    path = hf_hub_download(args[0], "a.bin", repo_type=args[1])
    assert open(path, "rb").read() == open(args[2], "rb").read()
    """
    anna.python(script, repo, kind, anna.folder({"a.bin": data}) + "/a.bin")
    prefix = "" if kind == "model" else f"{kind}s/"
    assert anna.is_xet(repo, "a.bin", prefix)
    anna.check(repo, {"a.bin": data}, prefix)


def test_bytes_in_memory_are_uploaded_as_well(anna: ClientMachine) -> None:
    repo = anna.person.repo()
    script = """
    api.upload_file(repo_id=args[0], path_or_fileobj=b"ab" * 100_000, path_in_repo="bytes.bin")
    import io
    api.upload_file(repo_id=args[0], path_or_fileobj=io.BytesIO(b"cd" * 100_000),
                    path_in_repo="stream.bin")
    """
    anna.python(script, repo)
    assert anna.is_xet(repo, "bytes.bin")
    assert not anna.is_xet(repo, "stream.bin")  # streams use LFS (protocol/hub-api.md 1)
    anna.check(repo, {"bytes.bin": b"ab" * 100_000, "stream.bin": b"cd" * 100_000})


def test_the_command_line_uploads_and_downloads_a_folder(anna: ClientMachine) -> None:
    repo = anna.person.path("by-hf")
    anna.hf("upload", repo, anna.folder(), ".")
    assert anna.is_xet(repo, "model-1.safetensors")
    anna.hf("download", repo, "--local-dir", str(anna.home / "back"))
    read(anna.home / "back")


def test_files_are_uploaded_to_a_branch_by_xet(anna: ClientMachine) -> None:
    repo = anna.person.repo()
    anna.person.commit(repo, {"key": "file", "value": {"path": "a.txt", "content": "a"}})
    anna.person.api.create_branch(repo, branch="feat/x")
    data = noise(150_000, 4)
    script = """
    api.upload_file(repo_id=args[0], path_or_fileobj=args[1], path_in_repo="b.bin",
                    revision="feat/x")
    assert open(hf_hub_download(args[0], "b.bin", revision="feat/x"), "rb").read(4)
    """
    anna.python(script, repo, anna.folder({"b.bin": data}) + "/b.bin")
    target = f"/{repo}/resolve/feat%2Fx/b.bin"
    assert anna.person.call("GET", target).body == data
    assert anna.person.call("GET", f"/{repo}/resolve/main/b.bin").status == 404


def test_one_commit_has_many_files(anna: ClientMachine) -> None:
    repo = anna.person.repo()
    files = {f"{at // 20}/{at}.bin": noise(20_000 + at, at) for at in range(120)}
    script = "api.upload_folder(repo_id=args[0], folder_path=args[1])"
    anna.python(script, repo, anna.folder(files))
    assert all(anna.is_xet(repo, path) for path in list(files)[::40])
    anna.check(repo, files)


def test_the_same_bytes_are_not_sent_twice(anna: ClientMachine) -> None:
    first, second = anna.person.repo("first"), anna.person.repo("second")
    files = {"w.safetensors": noise(4 << 20, 5)}
    changed = {"w.safetensors": files["w.safetensors"][: 2 << 20] + b"!" + noise(2 << 20, 6)}
    script = "api.upload_folder(repo_id=args[0], folder_path=args[1])"
    anna.python(script, first, anna.folder(files))
    once = xorb_bytes(anna.hub)
    anna.python(
        script, second, anna.folder(files, "again"), HF_XET_CACHE=str(anna.home / "new-cache")
    )
    assert xorb_bytes(anna.hub) == once
    anna.python(script, second, anna.folder(changed, "tuned"))
    assert xorb_bytes(anna.hub) - once < 2.5 * (1 << 20)
    anna.check(first, files)
    anna.check(second, changed)


def xorb_bytes(hub: ThreadHub) -> int:
    from sqlalchemy import func, select

    from hubstead.xet.tables import xorbs

    row = hub.run(hub.db.one(reading(select(func.sum(xorbs.c.bytes).label("bytes")))))
    assert row is not None
    return int(row.bytes or 0)


def test_a_reader_cannot_upload(anna: ClientMachine) -> None:
    repo = anna.person.repo()
    stranger = ClientMachine(anna.hub.user("bo"), anna.home)
    script = """
    try:
        api.upload_file(repo_id=args[0], path_or_fileobj=b"0" * 100_000, path_in_repo="a.bin")
    except Exception as error:
        assert "403" in str(error), error
    else:
        raise SystemExit("it was taken")
    """
    before = xorb_bytes(anna.hub)
    stranger.python(script, repo)
    assert xorb_bytes(anna.hub) == before


# -- downloads ---------------------------------------------------------------------------------

SNAPSHOT = "snapshot_download(args[0], local_dir=args[1])"


def test_a_snapshot_is_downloaded_by_xet(anna: ClientMachine, stored: str) -> None:
    plans, whole = anna.calls("/reconstruction"), anna.calls("resolve/{rest+}")
    anna.python(SNAPSHOT, stored, str(anna.home / "back"))
    read(anna.home / "back")
    assert anna.calls("/reconstruction") > plans
    # Small files (and .gitattributes) need two requests each; large ones none of this kind.
    assert anna.calls("resolve/{rest+}") - whole <= 2 * (len(FILES) + 1 - len(LARGE))


def test_without_xet_the_same_files_come_by_http(anna: ClientMachine, stored: str) -> None:
    plans = anna.calls("/reconstruction")
    anna.python(SNAPSHOT, stored, str(anna.home / "back"), xet=False)
    read(anna.home / "back")
    assert anna.calls("/reconstruction") == plans


def test_a_private_repository_is_read_by_its_owner_only(anna: ClientMachine) -> None:
    repo = anna.person.repo("hidden", private=True)
    data = {"a.bin": noise(200_000, 8)}
    script = "api.upload_folder(repo_id=args[0], folder_path=args[1])"
    anna.python(script, repo, anna.folder(data))
    anna.python(SNAPSHOT, repo, str(anna.home / "back"))
    read(anna.home / "back", data)
    stranger = ClientMachine(anna.hub.user("bo"), anna.home / "bo")
    refused = """
    from huggingface_hub.errors import RepositoryNotFoundError
    try:
        hf_hub_download(args[0], "a.bin")
    except RepositoryNotFoundError:
        pass
    else:
        raise SystemExit("it was given")
    """
    stranger.python(refused, repo)


def test_public_files_are_read_without_a_token(anna: ClientMachine, stored: str) -> None:
    plans = anna.calls("/reconstruction")
    anna.python(SNAPSHOT, stored, str(anna.home / "back"), HF_TOKEN="")
    read(anna.home / "back")
    assert anna.calls("/reconstruction") > plans


def test_one_file_is_downloaded_once(anna: ClientMachine, stored: str) -> None:
    script = """
    import hashlib, pathlib
    path = pathlib.Path(hf_hub_download(args[0], "sub/model-2.safetensors"))
    print(hashlib.sha256(path.read_bytes()).hexdigest())
    """
    for _ in range(2):
        plans = anna.calls("/reconstruction")
        assert anna.python(script, stored).strip() == sha256(FILES["sub/model-2.safetensors"])
    assert anna.calls("/reconstruction") == plans


def test_the_file_system_reads_and_writes(anna: ClientMachine, stored: str) -> None:
    repo = anna.person.repo("fs")
    script = """
    import random
    from huggingface_hub import HfFileSystem
    fs = HfFileSystem()
    data = open(args[2], "rb").read()
    with fs.open(f"{args[0]}/model-1.safetensors", "rb") as file:
        assert file.read(100) == data[:100]
        file.seek(2_000_000)
        assert file.read(70_000) == data[2_000_000:2_070_000]
    assert fs.cat_file(f"{args[0]}/model-1.safetensors", start=5, end=10) == data[5:10]
    fs.get_file(f"{args[0]}/model-1.safetensors", "got")
    assert open("got", "rb").read() == data
    with fs.open(f"{args[1]}/written.bin", "wb") as file:
        file.write(data[:300_000])
    fs.invalidate_cache()
    assert fs.cat_file(f"{args[1]}/written.bin") == data[:300_000]
    """
    anna.python(script, stored, repo, anna.folder() + "/model-1.safetensors")
    anna.check(repo, {"written.bin": FILES["model-1.safetensors"][:300_000]})


# -- both ways in one repository ---------------------------------------------------------------


def test_a_file_uploaded_by_lfs_is_read_by_a_client_with_xet(anna: ClientMachine) -> None:
    repo = anna.person.repo()
    files = {"lfs.bin": noise(300_000, 9), "xet.bin": noise(300_000, 10)}
    folder = anna.folder(files)
    script = "api.upload_file(repo_id=args[0], path_or_fileobj=args[1], path_in_repo=args[2])"
    anna.python(script, repo, f"{folder}/lfs.bin", "lfs.bin", xet=False)
    anna.python(script, repo, f"{folder}/xet.bin", "xet.bin")
    assert (anna.is_xet(repo, "lfs.bin"), anna.is_xet(repo, "xet.bin")) == (False, True)
    for xet in (True, False):
        target = anna.home / f"back-{xet}"
        anna.python(SNAPSHOT, repo, str(target), xet=xet)
        read(target, files)


def test_content_uploaded_both_ways_is_downloaded_both_ways(anna: ClientMachine) -> None:
    data = {"same.bin": noise(300_000, 11)}
    path = anna.folder(data) + "/same.bin"
    script = "api.upload_file(repo_id=args[0], path_or_fileobj=args[1], path_in_repo='same.bin')"
    repos = [anna.person.repo(name) for name in ("lfs-first", "then-xet")]
    anna.python(script, repos[0], path, xet=False)
    anna.python(script, repos[1], path)
    for repo in repos:
        for xet in (True, False):
            target = anna.home / f"{repo.rpartition('/')[2]}-{xet}"
            anna.python(SNAPSHOT, repo, str(target), xet=xet)
            read(target, data)


def test_git_downloads_xet_files_by_lfs(anna: ClientMachine, stored: str) -> None:
    target = anna.home / "clone"
    env = {"PATH": os.environ["PATH"], "HOME": str(anna.home)}
    setup = "git lfs install --skip-repo && git clone -q"
    result = subprocess.run(
        ["sh", "-c", f"{setup} {anna.hub.url}/{stored} {target}"],
        check=False,
        capture_output=True,
        text=True,
        env=env,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    read(target)


def test_plain_http_clients_read_ranges(anna: ClientMachine, stored: str) -> None:
    path, data = "repeated.bin", FILES["repeated.bin"]
    chance = random.Random(12)
    for _ in range(10):
        first = chance.randrange(len(data))
        last = min(len(data) - 1, first + chance.randrange(400_000))
        response = anna.person.call(
            "GET", f"/{stored}/resolve/main/{path}", Range=f"bytes={first}-{last}"
        )
        assert (response.status, response.body) == (206, data[first : last + 1])
