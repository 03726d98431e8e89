"""A full disk refuses writes cleanly and leaves reads working; writes resume once there is room."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.http import Response
from tests.support.hub import ProcessHub, running_hub

LFS = {"Content-Type": "application/vnd.git-lfs+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
DISK_BYTES = 48 << 20
PARTS = {
    "lfs_part_bytes": "100000",
    "lfs_multipart_threshold_bytes": "1000000",
    "max_lfs_file_bytes": "100MB",
}

pytestmark = [
    pytest.mark.long,  # every test starts a hub on a disk of its own
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk for one test."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@dataclass
class Writer:
    """Writes of each kind, with new content each time."""

    node: ProcessHub
    number: int = 0
    failures: list[str] = field(default_factory=list)

    def _new(self, size: int) -> bytes:
        self.number += 1
        return hashlib.shake_256(str(self.number).encode()).digest(size)

    def create(self) -> Response:
        return self.node.call("POST", "/api/repos/create", {"name": f"r{self._new(8).hex()}"})

    def commit(self, size: int = 100_000) -> Response:
        return self.commit_file("f.bin", self._new(size))

    def commit_file(self, path: str, data: bytes) -> Response:
        content = base64.b64encode(data).decode()
        lines = [
            {"key": "header", "value": {"summary": "add"}},
            {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}},
        ]
        body = "\n".join(json.dumps(line) for line in lines)
        return self.node.call("POST", "/api/models/admin/m/commit/main", body, **NDJSON)

    def _action(self, data: bytes) -> dict[str, Any] | Response:
        body = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}],
        }
        response = self.node.call("POST", "/admin/m.git/info/lfs/objects/batch", body, **LFS)
        if response.status != 200:
            return response
        action: dict[str, Any] = response.json["objects"][0]["actions"]["upload"]
        return action

    def upload(self) -> Response:
        data = self._new(500_000)
        action = self._action(data)
        if isinstance(action, Response):
            return action
        return self.node.call("PUT", action["href"], data, token="")

    def upload_in_parts(self) -> Response:
        data, parts = self._new(1_500_000), []
        action = self._action(data)
        if isinstance(action, Response):
            return action
        chunk = int(action["header"]["chunk_size"])
        for key, url in sorted(action["header"].items()):
            if key.isdigit():
                piece = data[(int(key) - 1) * chunk : int(key) * chunk]
                response = self.node.call("PUT", url, piece, token="")
                if response.status != 200:
                    return response
                parts.append({"partNumber": int(key), "etag": response.headers["etag"]})
        body = {"oid": hashlib.sha256(data).hexdigest(), "parts": parts}
        return self.node.call("POST", action["href"], body, **LFS, token="")

    def settings(self) -> Response:
        self.number += 1
        body = {"private": self.number % 2 == 0}
        return self.node.call("PUT", "/api/models/admin/m/settings", body)

    def branch(self) -> Response:
        return self.node.call("POST", f"/api/models/admin/m/branch/b{self._new(8).hex()}", {})

    def tag(self) -> Response:
        body = {"tag": f"t{self._new(8).hex()}", "message": "annotated"}
        return self.node.call("POST", "/api/models/admin/m/tag/main", body)


CONTENT = ("create", "commit", "upload", "upload_in_parts", "tag")
ROWS = ("settings", "branch")


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill a disk with one file, except for ``leave`` bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - leave
            if free <= 0:
                break
            file.write(bytes(min(free, 1 << 20)))
    return ballast


def leftovers(data: Path) -> list[Path]:
    """Return the files of interrupted writes; drafts and unregistered packs are not among them."""
    paths = [*(data / "blobs" / "incoming").iterdir(), *(data / "git").rglob("tmp_*")]
    return [path for path in paths if path.exists()]


def check_refused(response: Response) -> None:
    assert response.status == 507, (response.status, response.body)
    assert b"storage is full" in response.body
    assert "storage is full" in response.headers["x-error-message"] or b"message" in response.body


def check_reading(node: ProcessHub, content: bytes) -> None:
    assert node.call("GET", "/admin/m/resolve/main/small.bin").body == content
    assert node.call("GET", "/api/models/admin/m").status == 200
    assert node.call("GET", "/healthz").status == 200


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


READS = (
    "/admin/m/raw/main/small.bin",
    "/api/models/admin/m/tree/main?recursive=true&expand=true",
    "/api/models/admin/m/refs",
    "/api/models/admin/m/commits/main",
    "/api/models",
    "/admin/m",
    "/admin/m/tree/main",
)


@pytest.mark.parametrize("reserve", ["4MB", "0"])
def test_clone_and_fetch_succeed_on_a_full_disk_and_a_push_gets_its_report(
    disk: Path, tmp_path: Path, reserve: str
) -> None:
    with running_hub(disk / "hub", {"min_free_bytes": reserve, **PARTS}) as node:
        writer = Writer(node)
        writer.node.call("POST", "/api/repos/create", {"name": "m"})
        assert writer.commit_file("small.bin", b"small").status == 200
        address = f"http://admin:{node.token}@127.0.0.1:{node.port}/admin/m"
        assert git(tmp_path, "clone", "-q", address, "before").returncode == 0
        assert writer.commit_file("more.bin", b"more").status == 200
        ballast = fill(disk)
        for version in ("0", "2"):
            result = git(
                tmp_path, "-c", f"protocol.version={version}", "clone", "-q", address, version
            )
            assert result.returncode == 0, result.stderr
            assert (tmp_path / version / "more.bin").read_bytes() == b"more"
        result = git(tmp_path / "before", "pull", "-q")
        assert result.returncode == 0, result.stderr
        for path in READS:
            response = node.call("GET", path)
            assert response.status == 200, (path, response.status, response.body)
        git(tmp_path / "before", "commit", "-q", "--allow-empty", "-m", "mine")
        for command in (["push"], ["push", "origin", "HEAD:refs/heads/new"]):
            result = git(tmp_path / "before", *command)
            assert result.returncode != 0
            assert "storage is full" in result.stderr
            assert "507" not in result.stderr
        assert leftovers(disk / "hub") == []
        ballast.unlink()
        result = git(tmp_path / "before", "push", "-q")
        assert result.returncode == 0, result.stderr
        assert "in order" in node.run("doctor").stdout


@pytest.mark.parametrize("reserve", ["4MB", "0"])
def test_a_full_disk_refuses_content_with_507_serves_reads_and_recovers_without_a_restart(
    disk: Path, reserve: str
) -> None:
    content = bytes(range(256)) * 64
    with running_hub(disk / "hub", {"min_free_bytes": reserve, **PARTS}) as node:
        writer = Writer(node)
        writer.node.call("POST", "/api/repos/create", {"name": "m"})
        assert writer.commit_file("small.bin", content).status == 200
        ballast = fill(disk)
        for kind in CONTENT:
            check_refused(getattr(writer, kind)())
        assert leftovers(disk / "hub") == []
        check_reading(node, content)
        ready = node.call("GET", "/readyz")
        assert ready.status == 200, ready.body
        assert ready.json["status"] == "degraded"
        assert "writes are refused" in ready.json["disk"]
        ballast.unlink()
        for kind in (*CONTENT, *ROWS):
            response = getattr(writer, kind)()
            assert response.status == 200, (kind, response.status, response.body)
        assert node.call("GET", "/readyz").json["status"] == "ready"
        check_reading(node, content)
        assert "in order" in node.run("doctor").stdout


def test_a_database_without_room_refuses_with_507_and_retains_all_it_acknowledged(
    disk: Path,
) -> None:
    with running_hub(disk / "hub", {"min_free_bytes": "0", **PARTS}) as node:
        writer = Writer(node)
        writer.node.call("POST", "/api/repos/create", {"name": "m"})
        ballast = fill(disk)
        count, response = 0, writer.branch()
        while response.status == 200 and count < 3000:
            count, response = count + 1, writer.branch()
        check_refused(response)
        check_refused(writer.branch())
        branches = node.call("GET", "/api/models/admin/m/refs").json["branches"]
        assert len(branches) == 1 + count
        ballast.unlink()
        for kind in (*ROWS, *CONTENT):
            response = getattr(writer, kind)()
            assert response.status == 200, (kind, response.status, response.body)
        branches = node.call("GET", "/api/models/admin/m/refs").json["branches"]
        assert len(branches) == 2 + count
        assert "in order" in node.run("doctor").stdout


def test_a_disk_that_fills_up_during_an_upload_retains_nothing_of_it(disk: Path) -> None:
    with running_hub(disk / "hub", {"min_free_bytes": "0", **PARTS}) as node:
        writer = Writer(node)
        writer.node.call("POST", "/api/repos/create", {"name": "m"})
        fill(disk, leave=400_000)
        before = os.statvfs(disk).f_bavail
        check_refused(writer.upload())
        check_refused(writer.commit(2_000_000))
        assert leftovers(disk / "hub") == []
        # The log and the database itself have grown a little.
        assert os.statvfs(disk).f_bavail > before / 3, "pages of the disk were not given back"


def test_a_command_beside_a_full_hub_reports_the_full_disk(disk: Path) -> None:
    with running_hub(disk / "hub", {"min_free_bytes": "0"}) as node:
        fill(disk)
        count = 0
        result = node.run("token", "create", "admin", check=False)
        while result.returncode == 0 and count < 20:
            count += 1
            result = node.run(
                "user",
                "create",
                f"u{count}",
                "--email",
                "x" * 60 + f"{count}@example.com",
                check=False,
            )
        assert result.returncode != 0
        assert "full" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_start_on_a_full_disk_fails_with_the_reason(disk: Path) -> None:
    fill(disk)
    node = ProcessHub(disk / "hub")
    node.log.parent.mkdir(exist_ok=True)
    result = subprocess.run(
        [*node.command("serve"), "--port", "0"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=node.environment(),
    )
    assert result.returncode != 0
    assert "full" in result.stderr or os.strerror(errno.ENOSPC) in result.stderr
    assert "Traceback" not in result.stderr
