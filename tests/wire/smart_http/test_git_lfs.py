"""git-lfs as it is installed: push, clone, resume, large files in parts."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from tests.support.git import Clone, clone, url
from tests.support.hub import ThreadHub
from tests.support.person import Person

pytestmark = pytest.mark.skipif(
    shutil.which("git-lfs") is None, reason="git-lfs is not installed (apt-get install git-lfs)"
)
WEIGHTS = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user()


@pytest.fixture
def here(anna: Person, tmp_path: Path) -> Clone:
    made = clone(url(anna, anna.repo()), tmp_path / "w")
    made("lfs", "install", "--local")
    return made


def lfs_clone(address: str, folder: Path) -> Clone:
    """Clone with the filters of git-lfs on, whatever the machine's settings are."""
    made = clone(address, folder, GIT_LFS_SKIP_SMUDGE="1")
    made.more.clear()
    made("lfs", "install", "--local")
    made("lfs", "pull")
    return made


def test_weights_pushed_by_git_lfs_are_read_by_every_client(
    live_hub: ThreadHub, anna: Person, here: Clone, tmp_path: Path
) -> None:
    repo = anna.path("bert")
    here("lfs", "track", "*.weights")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    oid = here.commit("a/w.weights", WEIGHTS)
    here("push", "-q")
    assert anna.api.model_info(repo).sha == oid
    path = anna.api.hf_hub_download(repo, "a/w.weights", cache_dir=tmp_path / "cache")
    assert Path(path).read_bytes() == WEIGHTS
    for address in (url(anna, repo), f"{live_hub.url}/{repo}"):  # anonymous as well
        back = lfs_clone(address, tmp_path / f"back-{len(address)}")
        assert (back.path / "a/w.weights").read_bytes() == WEIGHTS
        assert back("lfs", "fsck").strip() == "Git LFS fsck OK"
    tree = anna.call("GET", f"/api/models/{repo}/tree/main/a").json
    assert tree[0]["lfs"]["size"] == len(WEIGHTS)


def test_a_file_uploaded_by_the_api_is_pulled_by_git_lfs(
    anna: Person, here: Clone, tmp_path: Path
) -> None:
    repo = anna.path("bert")
    anna.api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="model.bin", repo_id=repo)
    here("pull", "-q")
    here("lfs", "pull")
    assert (here.path / "model.bin").read_bytes() == WEIGHTS


def test_a_push_without_its_objects_is_told_to_send_them(here: Clone) -> None:
    here("config", "lfs.allowincompletepush", "true")
    here("lfs", "track", "*.weights")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    here.commit("w.weights", os.urandom(1000))  # nobody else may have given it to us
    shutil.rmtree(here.path / ".git/lfs/objects")
    assert "git lfs push --all" in here.refused("push", "--no-verify")


def test_large_files_travel_in_parts_once_the_clients_agent_is_enabled(
    anna: Person, tmp_path: Path
) -> None:
    repo = anna.path("parts")
    said = anna.call(
        "POST", "/api/repos/create", {"name": "parts", "lfsmultipartthresh": 1_000_000}
    )
    assert said.status == 200
    here = clone(url(anna, repo), tmp_path / "w")
    here("lfs", "install", "--local")
    here("lfs", "track", "*.weights")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    here.commit("w.weights", WEIGHTS)
    said = here.refused("push")
    assert "cli lfs-enable-largefiles" in said
    assert 'Run "hf lfs-enable-largefiles ./path/to/your/repo"' in said
    here("config", "lfs.customtransfer.multipart.path", str(Path(sys.executable).with_name("hf")))
    here("config", "lfs.customtransfer.multipart.args", "lfs-multipart-upload")
    here.more["HF_ENDPOINT"] = anna.hub.url
    here.more["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    here("push", "-q")
    assert anna.call("GET", f"/{repo}/resolve/main/w.weights").body == WEIGHTS
