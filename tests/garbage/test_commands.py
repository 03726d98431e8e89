"""``hubstead gc`` and ``hubstead stats``, as administrators run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationDelete, HfApi

from tests.support.command import hubstead, json_of
from tests.support.hub import ProcessHub, running_hub

pytestmark = pytest.mark.long  # every command is a process of its own


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessHub]:
    with running_hub(tmp_path_factory.mktemp("gc") / "data") as served:
        api = HfApi(endpoint=served.url, token=served.token)
        for name in ("bert", "tuned"):
            api.create_repo(f"admin/{name}")
            api.upload_file(
                path_or_fileobj=b"w" * 2_000_000, path_in_repo="w.bin", repo_id=f"admin/{name}"
            )
        deletion = CommitOperationDelete("w.bin")
        api.create_commit("admin/bert", [deletion], commit_message="remove")
        api.super_squash_history("admin/bert")
        yield served


def test_without_delete_gc_only_reports(hub: ProcessHub) -> None:
    result = hubstead("gc", "--no-git", "--grace", "0", data=hub.data)
    assert result.returncode == 0, result.stderr
    assert "models/admin/bert" in result.stdout
    assert "no branch, tag or other ref reaches it" in result.stdout
    assert "`hubstead gc --delete` would delete 1 objects, 2.0 MB." in result.stdout
    again = json_of("gc", "--no-git", "--grace", "0", data=hub.data)
    assert not again["deleted"]
    [count] = [row for row in again["found"] if row["what"] == "unreferenced LFS file"]
    assert count["bytes"] == 2_000_000
    assert count["repository"] == "models/admin/bert"
    assert count["when"] == "now"


def test_within_the_grace_period_nothing_is_reported(hub: ProcessHub) -> None:
    result = hubstead("gc", data=hub.data)
    assert "within the grace period" in result.stdout
    assert "would delete nothing yet" in result.stdout


def test_gc_deletes_beside_a_running_hub(hub: ProcessHub) -> None:
    first = json_of("gc", "--delete", "--no-git", "--grace", "0", data=hub.data)
    assert first["deleted"]
    assert [row["removed"] for row in first["total"] if row["when"] == "now"] == [1]
    second = json_of(
        "gc", "--delete", "--no-git", "--grace", "0", "--repo", "admin/bert", data=hub.data
    )
    assert second["found"] == []
    api = HfApi(endpoint=hub.url, token=hub.token)
    assert len(Path(api.hf_hub_download("admin/tuned", "w.bin")).read_bytes()) == 2_000_000


def test_an_invalid_duration_and_an_unknown_repository_are_refused(hub: ProcessHub) -> None:
    assert "not a span of time" in hubstead("gc", "--grace", "soon", data=hub.data).stderr
    assert hubstead("gc", "--repo", "admin/none", data=hub.data).returncode == 1


def test_a_new_epoch_reports_its_start(hub: ProcessHub) -> None:
    result = json_of("gc", "--new-epoch", data=hub.data)
    assert len(result["epoch"]) == 16
    assert result["counts_from"].endswith("Z")


def test_stats_report_the_storage_of_files(hub: ProcessHub) -> None:
    stats = json_of("stats", "admin/tuned", data=hub.data)
    assert stats["repository"] == "models/admin/tuned"
    assert (stats["files"], stats["logical"]) == (1, 2_000_000)
    every = json_of("stats", data=hub.data)
    assert "models/admin/tuned" in [
        repository["repository"] for repository in every["repositories"]
    ]
    assert every["total"]["logical"] >= 2_000_000
    assert "2.0 MB" in hubstead("stats", data=hub.data).stdout
    assert "logical:" in hubstead("stats", "models/admin/tuned", data=hub.data).stdout
