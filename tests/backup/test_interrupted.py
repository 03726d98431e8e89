"""A hub with an interrupted restore refuses every use, with the way to complete it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hubstead.backup import BackupFolder, Manifest
from hubstead.cli.root import COMMANDS
from hubstead.settings import Settings
from tests.backup.conftest import SHAPES, Filled, Places, backed_up, differences
from tests.backup.test_running_hubs import variables
from tests.support.command import clean_environment, hubstead

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

both = pytest.mark.parametrize("shape", SHAPES)
#: The moments of the kill, from the first to the last: before the named function runs.
MOMENTS = [
    "hubstead.app.migrate",
    "hubstead.backup.restore.prepare_rows",
    "hubstead.backup.restore.load_rows",
    "hubstead.backup.restore._remove",
    "hubstead.backup.restore.unmark_restore",
]
#: The arguments of each command that opens the hub.
CALLS = {
    "serve": ["serve", "--port", "0"],
    "user": ["user", "create", "eve"],
    "token": ["token", "list"],
    "org": ["org", "list"],
    "repo": ["repo", "list"],
    "collection": ["collection", "list"],
    "webhook": ["webhook", "list"],
    "jobs": ["jobs"],
    "doctor": ["doctor"],
    "gc": ["gc"],
    "repair": ["repair"],
    "xet": ["xet", "convert"],
    "stats": ["stats"],
    "backup": ["backup", "OTHER"],
}
#: Commands that open no hub, or complete the restore.
ELSEWHERE = {"settings", "restore"}

KILL_BEFORE = """
import importlib, os, signal, sys

def kill(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

room, _, name = sys.argv.pop(1).rpartition(".")
setattr(importlib.import_module(room), name, kill)
from hubstead.cli.root import main
main()
"""


def restore_killed_before(moment: str, folder: BackupFolder, target: Settings) -> None:
    """Run the real command in a process that kills itself before ``moment``."""
    arguments = ["restore", str(folder.root), "--data", str(target.data)]
    result = subprocess.run(
        [sys.executable, "-c", KILL_BEFORE, moment, *arguments],
        env=clean_environment() | variables(target),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr


def check_refusal(result: subprocess.CompletedProcess[str], snapshot: str | None) -> None:
    assert result.returncode == 1, (result.args, result.stdout, result.stderr)
    assert "is not complete" in result.stderr
    assert "hubstead restore FOLDER" in result.stderr
    assert "Traceback" not in result.stderr
    if snapshot is not None:
        assert f"--snapshot {snapshot}" in result.stderr


def test_every_command_is_listed_here() -> None:
    assert set(CALLS) | ELSEWHERE == set(COMMANDS)


@both
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_hub_with_a_killed_restore_is_not_served_and_a_second_run_completes_it(
    hub: Filled, places: Places, folder: BackupFolder, shape: str, moment: str
) -> None:
    async with hub("embedded") as sample:
        manifest = await backed_up(sample, folder)
    target = places(shape)
    restore_killed_before(moment, folder, target)
    env = variables(target)
    begun = manifest.id if moment == MOMENTS[2] else None
    check_refusal(hubstead("serve", "--port", "0", data=target.data, **env), begun)
    result = hubstead("restore", str(folder.root), data=target.data, **env)
    assert result.returncode == 0, result.stderr
    assert await differences(target, folder) == []


@both
async def test_every_command_refuses_a_partly_restored_hub(
    hub: Filled, places: Places, folder: BackupFolder, tmp_path: Path, shape: str
) -> None:
    async with hub("embedded") as sample:
        manifest = await backed_up(sample, folder)
    target = places(shape)
    restore_killed_before("hubstead.backup.restore.load_rows", folder, target)
    for call in CALLS.values():
        arguments = [
            str(tmp_path / "other") if argument == "OTHER" else argument for argument in call
        ]
        result = hubstead(*arguments, data=target.data, **variables(target))
        check_refusal(result, manifest.id)


@pytest.mark.parametrize("moment", MOMENTS[1:])
async def test_another_node_detects_it_without_the_data_folder(
    hub: Filled, places: Places, folder: BackupFolder, tmp_path: Path, moment: str
) -> None:
    """The data folder of the restoring node is lost: database and store are shared."""
    async with hub("embedded") as sample:
        manifest = await backed_up(sample, folder)
    target = places("company")
    restore_killed_before(moment, folder, target)
    shutil.rmtree(target.data)
    elsewhere = replace(target, data=tmp_path / "elsewhere")
    env = variables(target)
    check_refusal(hubstead("serve", "--port", "0", data=elsewhere.data, **env), manifest.id)
    check_refusal(hubstead("user", "list", data=elsewhere.data, **env), manifest.id)
    result = hubstead("restore", str(folder.root), data=elsewhere.data, **env)
    assert result.returncode == 0, result.stderr
    assert await differences(elsewhere, folder) == []


@both
async def test_another_snapshot_is_not_mixed_into_a_partly_restored_hub(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    async with hub("embedded") as sample:
        first = await backed_up(sample, folder)
        target = places(shape)
        restore_killed_before("hubstead.backup.restore.load_rows", folder, target)
        await sample.add_file("later.bin", b"later" * 500)
        await backed_up(sample, folder)
    env = variables(target)
    refused = hubstead("restore", str(folder.root), data=target.data, **env)
    assert refused.returncode == 1
    assert f"go on with --snapshot {first.id}" in refused.stderr
    which = ["--snapshot", first.id]
    result = hubstead("restore", str(folder.root), *which, data=target.data, **env)
    assert result.returncode == 0, result.stderr
    assert await differences(target, folder, folder.snapshot(first.id)) == []


@both
async def test_a_restore_without_any_write_leaves_no_mark(
    hub: Filled, places: Places, folder: BackupFolder, shape: str
) -> None:
    async with hub("embedded") as sample:
        manifest: Manifest = await backed_up(sample, folder)
    rows = folder.snapshot(manifest.id).database
    rows.chmod(0o600)
    with rows.open("r+b") as file:
        file.seek(rows.stat().st_size // 2)
        file.write(os.urandom(64))
    target = places(shape)
    env = variables(target)
    refused = hubstead("restore", str(folder.root), data=target.data, **env)
    assert refused.returncode == 1
    assert not (target.data / "restoring").exists()
    listed = hubstead("user", "list", data=target.data, **env)
    assert listed.returncode == 0, listed.stderr
