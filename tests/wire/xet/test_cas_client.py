"""The client itself, as released: what ``hf_xet`` sends up comes down again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.xet import Cas, noise
from tests.wire.xet.conftest import XetModel

from hubstead.repos import cas_url

_PROGRAM = """
import json, sys, hf_xet
told = json.load(sys.stdin)
token = (told["token"], told["until"])
if told["up"]:
    done = hf_xet.upload_files(told["paths"], told["url"], token, None, None, "model")
    print(json.dumps([[each.hash, each.file_size] for each in done]))
else:
    wanted = [hf_xet.PyXetDownloadInfo(path, name, size) for path, name, size in told["files"]]
    print(json.dumps(hf_xet.download_files(wanted, told["url"], token, None, None)))
"""


def client(cas: Cas, cache: Path, env: Mapping[str, str] = {}, **told: Any) -> Any:
    """Run hf_xet in a process of its own with its cache in ``cache``."""
    asked = {
        "url": cas_url(cas.hub.url, cas.epoch),
        "token": cas.xet_token,
        "until": 2_000_000_000,
        **told,
    }
    env = {**os.environ, "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", **env, "HF_XET_CACHE": str(cache)}
    env.pop("HF_HUB_DISABLE_XET", None)
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(asked),
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def up(cas: Cas, cache: Path, paths: list[Path], **env: str) -> list[tuple[str, int]]:
    found = client(cas, cache, env, up=True, paths=[str(path) for path in paths])
    return [(name, size) for name, size in found]


def down(
    cas: Cas, cache: Path, folder: Path, files: list[tuple[str, int]], **env: str
) -> list[bytes]:
    folder.mkdir()
    wanted = [(str(folder / str(at)), name, size) for at, (name, size) in enumerate(files)]
    client(cas, cache, env, up=False, files=wanted)
    return [Path(path).read_bytes() for path, _, _ in wanted]


@pytest.fixture
def contents(tmp_path: Path) -> list[Path]:
    made = {
        "one-byte": b"x",
        "small": noise(3000, "small"),
        "large": noise(9_000_000, "large"),
        "text": b"the same words again and again, " * 100_000,
        "repeats": noise(400_000, "block") * 8,
    }
    paths = []
    for name, content in made.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    return paths


def test_what_the_client_sends_up_comes_down(
    sample: XetModel, tmp_path: Path, contents: list[Path]
) -> None:
    cas = sample.cas()
    sent = up(cas, tmp_path / "cache", contents)
    assert [size for _, size in sent] == [path.stat().st_size for path in contents]
    got = down(cas, tmp_path / "fresh", tmp_path / "down", sent)
    assert got == [path.read_bytes() for path in contents]
    # With a warm cache and without one: the same files again cost no new bytes.
    before = sample.hub.traces()["blobs"]
    assert up(cas, tmp_path / "cache", contents) == sent
    assert up(cas, tmp_path / "colder", contents) == sent
    assert sample.hub.traces()["blobs"] == before


def test_a_change_in_the_middle_costs_a_part_of_the_file(sample: XetModel, tmp_path: Path) -> None:
    cas = sample.cas()
    content = noise(12_000_000, sample.repo_id)
    path = tmp_path / "model"
    path.write_bytes(content)
    up(cas, tmp_path / "cache", [path])
    path.write_bytes(content[:6_000_000] + b"a few words more" + content[6_000_000:])
    blobs = set(sample.hub.traces()["blobs"])  # type: ignore[call-overload]
    sent = up(cas, tmp_path / "other", [path])
    (new,) = set(sample.hub.traces()["blobs"]) - blobs  # type: ignore[call-overload]
    assert _size(sample, new) < 1_000_000
    assert down(cas, tmp_path / "third", tmp_path / "down", sent) == [path.read_bytes()]


def _size(sample: XetModel, name: str) -> int:
    from hubstead.blobs import BlobKey, BlobKind

    size = sample.hub.run(sample.hub.hub.blobs.size(BlobKey(BlobKind.XORB, name)))
    assert size is not None
    return size


@pytest.mark.parametrize(
    "setting",
    [
        {"HF_XET_CLIENT_SHARD_API_VERSION": "1", "HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "1"},
        {"HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING": "1"},
        {"HF_XET_CLIENT_LEGACY_DIRECT_XORB_UPLOAD": "1"},
    ],
    ids=str,
)
def test_every_way_that_the_client_can_go_is_open(
    sample: XetModel, tmp_path: Path, setting: dict[str, str]
) -> None:
    """Two files that share blocks, so that a file has several ranges of one xorb."""
    cas = sample.cas()
    blocks = [noise(600_000, f"{setting}{at}") for at in range(6)]
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"".join(blocks))
    second.write_bytes(blocks[0] + noise(700_000, "between") + blocks[3] + blocks[1] + blocks[5])
    sent = up(cas, tmp_path / "up", [first], **setting)
    sent += up(cas, tmp_path / "again", [second], **setting)
    got = down(cas, tmp_path / "fresh", tmp_path / "down", sent, **setting)
    assert got == [first.read_bytes(), second.read_bytes()]
