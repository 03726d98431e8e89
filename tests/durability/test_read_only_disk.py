"""A disk that turns read-only refuses writes with 503, serves reads, and can be examined."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.test_full_disk import CONTENT, PARTS, READS, ROWS, Writer, git
from tests.support.hub import ProcessHub, running_hub

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for one test, as ext4 in a file."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(96 << 20)
    for command in (
        ["mkfs.ext4", "-q", str(image)],
        ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fail(disk: Path) -> None:
    """Have the kernel meet an error of the disk, after which it takes no more writes."""
    subprocess.run(["mount", "-o", "remount,abort", disk], check=True)


COMMANDS = (["user", "list"], ["jobs"], ["stats"], ["doctor"], ["gc"])


def check_copy(node: ProcessHub, backup: Path) -> None:
    """Check that commands and ``backup`` open a hub that cannot be written."""
    for command in COMMANDS:
        result = node.run(*command, check=False)
        assert result.returncode == 0, (command, result.stderr)
    assert "in order" in node.run("doctor").stdout
    assert "Snapshot" in node.run("backup", str(backup)).stdout
    refused = node.run("user", "create", "anna", check=False)
    assert refused.returncode == 1
    assert "read-only" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_disk_that_fails_refuses_writes_by_every_door_and_serves_reads(
    disk: Path, tmp_path: Path
) -> None:
    with running_hub(disk / "hub", {"min_free_bytes": "0", **PARTS}) as node:
        writer = Writer(node)
        node.call("POST", "/api/repos/create", {"name": "m"})
        assert writer.commit_file("small.bin", b"small").status == 200
        address = f"http://admin:{node.token}@127.0.0.1:{node.port}/admin/m"
        assert git(tmp_path, "clone", "-q", address, "before").returncode == 0
        fail(disk)
        for kind in (*CONTENT, *ROWS):
            response = getattr(writer, kind)()
            assert response.status == 503, (kind, response.status, response.body)
            assert b"read-only" in response.body or b"disk I/O error" in response.body
        for path in READS:
            assert node.call("GET", path).status == 200, path
        for version in ("0", "2"):
            result = git(
                tmp_path, "-c", f"protocol.version={version}", "clone", "-q", address, version
            )
            assert result.returncode == 0, result.stderr
        git(tmp_path / "before", "commit", "-q", "--allow-empty", "-m", "mine")
        assert "its storage is read-only" in git(tmp_path / "before", "push").stderr
        ready = node.call("GET", "/readyz")
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert "read-only" in ready.json["store"]
        check_copy(node, tmp_path / "backup")
    assert "unexpected" not in node.log.read_text()


def test_commands_and_backup_open_a_copy_on_a_read_only_disk(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as node:
        writer = Writer(node)
        node.call("POST", "/api/repos/create", {"name": "m"})
        assert writer.commit_file("small.bin", b"small").status == 200
        shutil.copytree(tmp_path / "hub", tmp_path / "running")  # with its write-ahead log
    for copy in ("hub", "running"):
        folder = tmp_path / copy
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            check_copy(ProcessHub(folder), tmp_path / f"backup-{copy}")
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
