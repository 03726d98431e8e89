"""The released client: uploads of ``hf_xet`` are downloaded unchanged."""

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
request = json.load(sys.stdin)
token = (request["token"], request["until"])
if request["up"]:
    infos = hf_xet.upload_files(request["paths"], request["url"], token, None, None, "model")
    print(json.dumps([[info.hash, info.file_size] for info in infos]))
else:
    wanted = [hf_xet.PyXetDownloadInfo(*file) for file in request["files"]]
    print(json.dumps(hf_xet.download_files(wanted, request["url"], token, None, None)))
"""


def client(cas: Cas, cache: Path, env: Mapping[str, str] = {}, **more: Any) -> Any:
    """Run hf_xet in its own process with its cache in ``cache``."""
    request = {
        "url": cas_url(cas.hub.url, cas.epoch),
        "token": cas.xet_token,
        "until": 2_000_000_000,
        **more,
    }
    env = {**os.environ, "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", **env, "HF_XET_CACHE": str(cache)}
    env.pop("HF_HUB_DISABLE_XET", None)
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(request),
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def up(cas: Cas, cache: Path, paths: list[Path], **env: str) -> list[tuple[str, int]]:
    infos = client(cas, cache, env, up=True, paths=[str(path) for path in paths])
    return [(name, size) for name, size in infos]


def down(
    cas: Cas, cache: Path, folder: Path, files: list[tuple[str, int]], **env: str
) -> list[bytes]:
    folder.mkdir()
    wanted = [(str(folder / str(at)), name, size) for at, (name, size) in enumerate(files)]
    client(cas, cache, env, up=False, files=wanted)
    return [Path(path).read_bytes() for path, _, _ in wanted]


@pytest.fixture
def contents(tmp_path: Path) -> list[Path]:
    files = {
        "one-byte": b"x",
        "small": noise(3000, "small"),
        "large": noise(9_000_000, "large"),
        "text": b"the same words again and again, " * 100_000,
        "repeats": noise(400_000, "block") * 8,
    }
    paths = []
    for name, content in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    return paths


def test_uploads_of_the_client_are_downloaded_unchanged(
    sample: XetModel, tmp_path: Path, contents: list[Path]
) -> None:
    cas = sample.cas()
    sent = up(cas, tmp_path / "cache", contents)
    assert [size for _, size in sent] == [path.stat().st_size for path in contents]
    received = down(cas, tmp_path / "fresh", tmp_path / "down", sent)
    assert received == [path.read_bytes() for path in contents]
    # With a warm cache and without one: the same files again need no new bytes.
    before = sample.hub.traces()["blobs"]
    assert up(cas, tmp_path / "cache", contents) == sent
    assert up(cas, tmp_path / "colder", contents) == sent
    assert sample.hub.traces()["blobs"] == before


def test_a_change_in_the_middle_uploads_a_part_of_the_file(
    sample: XetModel, tmp_path: Path
) -> None:
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
def test_every_transfer_mode_of_the_client_works(
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
    received = down(cas, tmp_path / "fresh", tmp_path / "down", sent, **setting)
    assert received == [first.read_bytes(), second.read_bytes()]
