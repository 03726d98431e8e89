"""git-lfs as installed: push, clone, resume, large files in parts."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import BadRequestError
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
    work_tree = clone(url(anna, anna.repo()), tmp_path / "w")
    work_tree("lfs", "install", "--local")
    return work_tree


def lfs_clone(address: str, folder: Path) -> Clone:
    """Clone with the filters of git-lfs, whatever the machine's configuration."""
    work_tree = clone(address, folder, GIT_LFS_SKIP_SMUDGE="1")
    work_tree.more.clear()
    work_tree("lfs", "install", "--local")
    work_tree("lfs", "pull")
    return work_tree


def test_weights_pushed_by_git_lfs_are_readable_by_every_client(
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


def pointer(content: bytes, *, version: str = "https://git-lfs.github.com/spec/v1") -> bytes:
    oid = hashlib.sha256(content).hexdigest()
    return f"version {version}\noid sha256:{oid}\nsize {len(content)}\n".encode()


def commit_unfiltered(here: Clone, path: str, text: bytes) -> None:
    written = here("hash-object", "-w", "--no-filters", "--stdin", stdin=text).strip()
    here("update-index", "--add", "--cacheinfo", f"100644,{written},{path}")
    here("commit", "-qm", path)


def store_object(here: Clone, content: bytes) -> None:
    """Store an object in the clone, ready for a push."""
    oid = hashlib.sha256(content).hexdigest()
    stored = here.path / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(content)


ODD = {
    "hawser": lambda content: pointer(content, version="https://hawser.github.com/spec/v1"),
    "alpha": lambda content: pointer(content, version="http://git-media.io/v/2"),
    "crlf": lambda content: pointer(content).replace(b"\n", b"\r\n"),
    "spaced": lambda content: b"\n " + pointer(content) + b"\n\n",
    "signed": lambda content: pointer(content).replace(b"size ", b"size +0"),
    "padded": lambda content: pointer(content).ljust(1023),
}


def test_every_text_that_git_lfs_accepts_as_a_pointer_leads_to_its_object(
    anna: Person, here: Clone, tmp_path: Path
) -> None:
    repo = anna.path("bert")
    here("lfs", "track", "*.odd")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    contents = {name: os.urandom(1000) for name in ODD}
    for name, content in contents.items():
        store_object(here, content)
        commit_unfiltered(here, f"{name}.odd", ODD[name](content))
    here("push", "-q")
    back = lfs_clone(url(anna, repo), tmp_path / "back")
    tree = anna.call("GET", f"/api/models/{repo}/tree/main").json
    sizes = {item["path"]: item["lfs"]["size"] for item in tree if "lfs" in item}
    assert sizes == {f"{name}.odd": 1000 for name in ODD}
    for name, content in contents.items():
        assert (back.path / f"{name}.odd").read_bytes() == content
        assert anna.call("GET", f"/{repo}/resolve/main/{name}.odd").body == content


@pytest.mark.parametrize("name", sorted(ODD))
def test_a_pushed_pointer_in_another_form_needs_its_object_as_well(here: Clone, name: str) -> None:
    content = os.urandom(1000)
    commit_unfiltered(here, "dir/w.bin", ODD[name](content))
    output = here.refused("push", "--no-verify")
    assert "dir/w.bin" in output
    assert "git lfs push --all" in output


@pytest.mark.parametrize("length", [1024, 4096])
def test_a_text_that_only_the_checkout_accepts_as_a_pointer_is_refused_with_its_path(
    anna: Person, here: Clone, length: int
) -> None:
    text = pointer(WEIGHTS).ljust(1024, b"\n").ljust(length, b"x")
    commit_unfiltered(here, "dir/w.bin", text)
    output = here.refused("push", "--no-verify")
    assert "dir/w.bin: git-lfs replaces a file that begins so" in output
    with pytest.raises(BadRequestError, match=r"dir/w\.txt.*git-lfs replaces"):
        anna.api.upload_file(
            path_or_fileobj=text, path_in_repo="dir/w.txt", repo_id=anna.path("bert")
        )


def test_a_push_without_its_objects_is_refused_with_their_names(here: Clone) -> None:
    here("config", "lfs.allowincompletepush", "true")
    here("lfs", "track", "*.weights")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    here.commit("w.weights", os.urandom(1000))  # content that no other test has uploaded
    shutil.rmtree(here.path / ".git/lfs/objects")
    assert "git lfs push --all" in here.refused("push", "--no-verify")


def test_large_files_are_sent_in_parts_once_the_agent_is_enabled(
    anna: Person, tmp_path: Path
) -> None:
    repo = anna.path("parts")
    response = anna.call(
        "POST", "/api/repos/create", {"name": "parts", "lfsmultipartthresh": 1_000_000}
    )
    assert response.status == 200
    here = clone(url(anna, repo), tmp_path / "w")
    here("lfs", "install", "--local")
    here("lfs", "track", "*.weights")
    here.write(".gitattributes", (here.path / ".gitattributes").read_bytes())
    here.commit("w.weights", WEIGHTS)
    output = here.refused("push")
    assert "cli lfs-enable-largefiles" in output
    assert 'Run "hf lfs-enable-largefiles ./path/to/your/repo"' in output
    here("config", "lfs.customtransfer.multipart.path", str(Path(sys.executable).with_name("hf")))
    here("config", "lfs.customtransfer.multipart.args", "lfs-multipart-upload")
    here.more["HF_ENDPOINT"] = anna.hub.url
    here.more["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    here("push", "-q")
    assert anna.call("GET", f"/{repo}/resolve/main/w.weights").body == WEIGHTS
