"""Backups of running hubs under writes, by the real command; and killed backups and restores."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from hubstead.settings import Settings
from tests.backup.conftest import SHAPES, Places
from tests.support.command import HUBSTEAD, clean_environment, hubstead
from tests.support.hub import ProcessHub, running_hub

FILE_BYTES = 20_000
#: The factor on the delays of repeated kills: `make crash` kills more often.
PATIENCE = 1.15 if "HUBSTEAD_TEST_CRASHES" in os.environ else 1.5
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def stores_of(settings: Settings) -> dict[str, str]:
    """Return the settings with the stores of a hub of this shape."""
    return {
        "database": settings.database.url,
        "blobs": settings.blobs.url,
        "s3_endpoint": settings.s3.endpoint,
        "s3_access_key": settings.s3.access_key,
        "s3_secret_key": settings.s3.secret_key,
    }


def variables(settings: Settings) -> dict[str, str]:
    """Return the settings of a shape as environment variables."""
    return {f"HUBSTEAD_{name.upper()}": value for name, value in stores_of(settings).items()}


def content(number: int) -> bytes:
    return random.Random(number).randbytes(FILE_BYTES)


@dataclass
class Writer:
    """Commits files one after the other and counts the acknowledged ones."""

    hub: ProcessHub
    repo: str
    written: int = 0
    faults: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api = HfApi(endpoint=self.hub.url, token=self.hub.token)
        self.api.create_repo(self.repo)

    def commit(self) -> None:
        number = self.written
        files = {f"data-{number}.bin": content(number), "count.txt": str(number + 1).encode()}
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        self.api.create_commit(self.repo, operations, commit_message=str(number))
        self.written += 1

    def until(self, end: threading.Event) -> None:
        try:
            while not end.is_set():
                self.commit()
        except BaseException as fault:
            self.faults.append(fault)


@contextmanager
def writing(*writers: Writer) -> Iterator[None]:
    """Run the writers until the block ends."""
    end = threading.Event()
    threads = [threading.Thread(target=writer.until, args=(end,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(60)
    assert [writer.faults for writer in writers] == [[] for _ in writers]


def ok(*arguments: str, data: Path, **env: str) -> str:
    result = hubstead(*arguments, data=data, **env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def whole(hub: ProcessHub, repo: str) -> int:
    """Check a repository as a reader: it has at least as many files as its own count says."""
    api = HfApi(endpoint=hub.url, token=hub.token)
    folder = Path(api.snapshot_download(repo, local_dir=hub.data.parent / f"read-{time.time_ns()}"))
    count = int((folder / "count.txt").read_text())
    for number in range(count):
        assert (folder / f"data-{number}.bin").read_bytes() == content(number)
    assert len(list(folder.glob("data-*.bin"))) == count
    assert len(api.list_repo_commits(repo)) == count + 1
    return count


@pytest.mark.parametrize(("shape", "other"), [("embedded", "company"), ("company", "embedded")])
def test_a_backup_during_commits_restores_to_one_moment(
    places: Places, tmp_path: Path, shape: str, other: str
) -> None:
    settings, target, folder = places(shape), places(other), str(tmp_path / "backup")
    with running_hub(settings.data, stores_of(settings)) as hub:
        writers = [Writer(hub, "admin/one"), Writer(hub, "admin/two")]
        for writer in writers:
            writer.commit()
        with writing(*writers):
            time.sleep(1)
            before = [writer.written for writer in writers]
            ok("backup", folder, data=settings.data, **variables(settings))
            after = [writer.written for writer in writers]
            result = ok("backup", folder, "--json", data=settings.data, **variables(settings))
        assert after > before
        again = json.loads(result)
        total = sum(kind["bytes"] for kind in again["blobs"].values())
        assert 0 < again["new"]["bytes"] < total
        assert again["lacking"] == []
    first = min(path.name for path in (tmp_path / "backup" / "snapshots").iterdir())
    where = variables(target)
    options = ("--snapshot", first, "--verify")
    ok("restore", folder, *options, data=target.data, **where)
    assert "in order" in ok("doctor", "--deep", "--strict", data=target.data, **where)
    (target.data / "first-token").write_text(hub.token)  # tokens stay valid
    with running_hub(target.data, stores_of(target)) as restored_hub:
        for writer, least in zip(writers, before, strict=True):
            count = whole(restored_hub, writer.repo)
            assert least <= count <= writer.written
        # The restored hub accepts writes.
        api = HfApi(endpoint=restored_hub.url, token=hub.token)
        api.upload_file(path_or_fileobj=b"x" * 100, path_in_repo="x.bin", repo_id="admin/one")


XET_CLIENT = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
url, token, verb, path = sys.argv[1:]
api = HfApi(endpoint=url, token=token)
if verb == "up":
    api.create_repo("admin/xet", exist_ok=True)
    api.upload_file(path_or_fileobj=path, path_in_repo=Path(path).name, repo_id="admin/xet")
else:
    api.hf_hub_download("admin/xet", Path(path).name, local_dir=Path(path).parent)
"""


def xet_client(hub: ProcessHub, verb: str, path: Path, home: Path) -> None:
    """Upload or download a file with hf_xet, whose cache is in ``home``."""
    env = {name: value for name, value in clean_environment().items() if not name.startswith("HF_")}
    env |= {"HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", XET_CLIENT, hub.url, hub.token, verb, str(path)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("shape", "other"), [("embedded", "company"), ("company", "embedded")])
def test_xet_files_are_restored_and_clients_continue_with_their_caches(
    places: Places, tmp_path: Path, shape: str, other: str
) -> None:
    settings, target, folder = places(shape), places(other), str(tmp_path / "backup")
    first, later = tmp_path / "first.bin", tmp_path / "later.bin"
    first.write_bytes(random.Random(1).randbytes(3 << 20))
    later.write_bytes(first.read_bytes()[: 2 << 20] + random.Random(2).randbytes(2 << 20))
    home = tmp_path / "home"
    with running_hub(settings.data, stores_of(settings)) as hub:
        xet_client(hub, "up", first, home)
        result = json.loads(
            ok("backup", folder, "--json", data=settings.data, **variables(settings))
        )
        assert result["blobs"]["xorb"]["bytes"] >= 3 << 20
        assert "lfs" not in result["blobs"]  # all content is in xorbs
        xet_client(hub, "up", later, home)  # after the snapshot, and in the client's cache
    where = variables(target)
    ok("restore", folder, "--verify", data=target.data, **where)
    (target.data / "first-token").write_text(hub.token)
    # At the same address, as after a real restore.
    with running_hub(target.data, stores_of(target), fixed_port=hub.port) as restored_hub:
        xet_client(restored_hub, "up", later, home)
        for path in (first, later):
            read = tmp_path / "read" / path.name
            xet_client(restored_hub, "down", read, tmp_path / "elsewhere")
            assert read.read_bytes() == path.read_bytes()
    assert "in order" in ok("doctor", "--deep", data=target.data, **where)


@pytest.fixture
def large(places: Places, request: pytest.FixtureRequest) -> Settings:
    """A hub of a shape, with enough content for a backup to take a moment."""
    settings = places(request.param)
    with running_hub(settings.data, stores_of(settings)) as hub:
        api = HfApi(endpoint=hub.url, token=hub.token)
        api.create_repo("admin/large")
        for batch in range(3):
            files = {f"{batch}-{n}.bin": random.Random(n * 3 + batch) for n in range(12)}
            operations = [
                CommitOperationAdd(path, chance.randbytes(1 << 20))
                for path, chance in files.items()
            ]
            api.create_commit("admin/large", operations, commit_message="more")
    return settings


def backup_killed_after(seconds: float, folder: Path, data: Path, env: Mapping[str, str]) -> bool:
    """Run a backup and kill it; return whether it was still running."""
    command: list[str | Path] = [HUBSTEAD, "backup", str(folder), "--data", str(data)]
    process = subprocess.Popen(
        command,
        env={**clean_environment(), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, output = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, output
    return False


def killed_often(make: Callable[[float], bool]) -> int:
    """Kill later and later, until two runs complete; return the number of kills."""
    kills = ends = 0
    after = 0.4
    while ends < 2:
        killed = make(after)
        kills, ends = kills + killed, ends + (not killed)
        after *= PATIENCE
    return kills


@pytest.mark.parametrize("large", SHAPES, indirect=True)
def test_a_killed_backup_is_completed_by_the_next_one(
    large: Settings, places: Places, tmp_path: Path
) -> None:
    folder, env = tmp_path / "backup", variables(large)
    kills = killed_often(lambda after: backup_killed_after(after, folder, large.data, env))
    assert kills > 1
    last = json.loads(ok("backup", str(folder), "--json", data=large.data, **env))
    assert last["new"]["count"] == 0
    complete = json.loads(ok("backup", str(folder), "--list", "--json", data=large.data))
    assert len(complete) >= 2
    assert len(list((folder / "snapshots").iterdir())) == len(complete)
    ok("backup", str(folder), "--check", data=large.data)
    target = places("embedded")
    ok("restore", str(folder), "--verify", data=target.data)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("large", ["embedded"], indirect=True)
def test_a_killed_restore_is_completed_by_the_next_one(
    large: Settings, places: Places, tmp_path: Path, shape: str
) -> None:
    folder, target = str(tmp_path / "backup"), places(shape)
    ok("backup", folder, data=large.data)
    env, kills, after = variables(target), 0, 0.4
    command: list[str | Path] = [HUBSTEAD, "restore", folder, "--data", str(target.data)]
    while True:
        process = subprocess.Popen(
            command, env={**clean_environment(), **env}, stderr=subprocess.PIPE
        )
        try:
            _, output = process.communicate(timeout=after)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills, after = kills + 1, after * PATIENCE
    assert process.returncode == 0 or b"not empty" in output, output
    assert kills > 1
    ok("restore", folder, "--verify", data=target.data, **env)


def test_the_command_reports_its_work_and_the_snapshots(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", str(tmp_path / "backup")
    ok("user", "create", "ada", data=data)
    output = ok("backup", folder, data=data)
    assert output.startswith("Snapshot 20")
    assert "1 rows, 0 objects" in output
    assert len(ok("backup", folder, "--keep", "1", data=data).splitlines()) == 2
    assert len(ok("backup", folder, "--list", data=data).splitlines()) == 2
    assert ok("backup", folder, "--check", data=data) == "The backup is in order.\n"
    refused = hubstead("restore", folder, data=data)
    assert refused.returncode == 1
    assert refused.stderr == "hubstead: the database is not empty: restore into a new one\n"
    other = tmp_path / "other"
    output = ok("restore", folder, "--verify", data=other)
    assert output.endswith("Every row and every byte is the same.\n")
    ok("user", "create", "bob", data=other)
    differs = hubstead("restore", folder, "--verify", data=other)
    assert differs.returncode == 1
    assert "hub: account has 2 rows instead of 1" in differs.stdout
