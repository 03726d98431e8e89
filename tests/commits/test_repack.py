"""Repacks merge packs, keep all that a ref reaches, and drop unreachable objects."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, select

from hubstead.commits import (
    delete_retired_rows,
    remove_retired_packs,
    repack_reachable,
    repack_repo,
)
from hubstead.commits.tables import packs as packs_table
from hubstead.commits.tables import refs, retired_packs
from hubstead.gitstore import PackSize, packs_to_repack
from tests.gitstore.test_handles import mappings, open_files
from tests.support.git_store import overtaken
from tests.support.hub import ThreadHub
from tests.support.jobs import run_job
from tests.support.person import Person
from tests.support.rows import reading

_PACKS = reading(
    select(packs_table.c.name, packs_table.c.objects).where(
        packs_table.c.repo_pk == bindparam("pk")
    )
)
_DEAD = reading(select(retired_packs.c.name).where(retired_packs.c.repo_id == bindparam("id")))
_REFS = reading(select(refs.c.oid).where(refs.c.repo_pk == bindparam("pk")))


@given(st.lists(st.integers(1, 10**6), max_size=60))
def test_after_a_repack_each_pack_has_twice_the_objects_of_all_smaller_ones(
    sizes: list[int],
) -> None:
    packs = [PackSize(f"{n:040x}", size) for n, size in enumerate(sizes)]
    folded = set(packs_to_repack(packs))
    assert len(folded) != 1
    unchanged = sorted(pack.objects for pack in packs if pack.name not in folded)
    repacked = [sum(pack.objects for pack in packs if pack.name in folded)] if folded else []
    after = sorted(unchanged + repacked)
    assert all(big >= 2 * small for small, big in itertools.pairwise(after))


class Packs:
    """The packs of one repository of a live hub."""

    def __init__(self, hub: ThreadHub, anna: Person, repo: str) -> None:
        self.hub, self.anna, self.repo = hub, anna, repo
        self.id = anna.call("GET", f"/api/models/{repo}").json["_id"]
        self.stores = hub.hub.stores

    def rows(self) -> list[Any]:
        async def read() -> list[Any]:
            from hubstead.accounts import Actor
            from hubstead.repos import open_repo_by_id

            repo = await open_repo_by_id(
                self.hub.db, Actor(pk=self.anna.pk, may_write=True), self.id
            )
            self.tips = [row.oid for row in await self.hub.db.all(_REFS, pk=repo.pk)]
            return await self.hub.db.all(_PACKS, pk=repo.pk)

        return self.hub.run(read())

    def dead(self) -> list[Any]:
        return self.hub.run(self.hub.db.all(_DEAD, id=self.id))

    def files(self) -> list[str]:
        return self.stores.git.pack_names(self.id)

    def fsck(self) -> list[str]:
        self.rows()
        return self.stores.git.fsck(self.id, self.tips)

    def commit(self, count: int, start: int = 0) -> None:
        for n in range(start, start + count):
            line = {"key": "file", "value": {"path": f"f{n % 7}", "content": str(n)}}
            assert self.anna.commit(self.repo, line).status == 200


@pytest.fixture
def packs(live_hub: ThreadHub) -> Packs:
    anna = live_hub.user()
    return Packs(live_hub, anna, anna.repo())


def test_many_packs_become_few_and_all_content_stays_readable(packs: Packs) -> None:
    packs.commit(40)
    result = packs.hub.run(repack_repo(packs.stores, packs.id))
    assert result is not None
    assert len(packs.rows()) < 8
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f4").body == b"39"
    packs.commit(3, start=100)
    assert packs.hub.run(repack_repo(packs.stores, packs.id)) is not None
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").status == 200


def test_files_of_retired_packs_stay_for_the_grace_period(packs: Packs) -> None:
    packs.commit(10)
    before = set(packs.files())
    packs.hub.run(repack_repo(packs.stores, packs.id))
    assert before <= set(packs.files())
    assert packs.dead()
    assert packs.hub.run(remove_retired_packs(packs.stores, grace_ms=3_600_000)) == 0
    assert before <= set(packs.files())
    assert packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1)) > 0
    assert set(packs.files()) == {row.name for row in packs.rows()}
    packs.hub.run(delete_retired_rows(packs.stores, older_than_ms=-1))
    assert packs.dead() == []
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f2").body == b"9"


def test_unreachable_objects_are_dropped_and_all_others_stay(packs: Packs) -> None:
    packs.commit(5)
    packs.anna.api.create_branch(packs.repo, branch="side")
    packs.anna.commit(
        packs.repo, {"key": "file", "value": {"path": "dropped", "content": "dropped"}}, rev="side"
    )
    refs = packs.anna.call("GET", f"/api/models/{packs.repo}/refs").json
    lost = next(ref["targetCommit"] for ref in refs["branches"] if ref["name"] == "side")
    packs.anna.api.delete_branch(packs.repo, branch="side")
    git = packs.stores.git.open(packs.id)
    assert git.has(lost)
    assert packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=60_000, past=())) is None
    result = packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=-1, past=()))
    assert result is not None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert [row.name for row in packs.rows()] == [result.name]
    assert not packs.stores.git.open(packs.id).has(lost)
    assert packs.fsck() == []
    path = packs.stores.git.path(packs.id)
    assert (path / "objects/info/commit-graph").exists()
    assert list((path / "objects/pack").glob("*.bitmap"))
    packs.commit(2, start=50)
    assert packs.fsck() == []


def test_objects_of_recent_ref_updates_stay_and_a_background_repack_drops_nothing(
    packs: Packs,
) -> None:
    packs.commit(3)
    old = packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").json[0]["id"]
    packs.anna.api.super_squash_history(packs.repo)
    for past in (None, {old}):
        assert (
            packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=-1, past=past))
            is not None
        )
        packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
        assert len(packs.rows()) == 2
        assert packs.stores.git.open(packs.id).has(old)
        packs.commit(1, start=60)
    packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=-1, past=()))
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert not packs.stores.git.open(packs.id).has(old)
    assert packs.fsck() == []


def test_a_ref_update_during_a_repack_keeps_its_objects(packs: Packs) -> None:
    packs.commit(3)
    old = packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").json[0]["id"]
    packs.anna.api.super_squash_history(packs.repo)  # the old commits are unreachable now

    def meanwhile() -> None:
        packs.anna.api.create_branch(packs.repo, branch="back", revision=old)

    late = overtaken(packs.stores, meanwhile)
    assert packs.hub.run(repack_reachable(late, packs.id, grace_ms=-1, past=())) is None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/back/f2").body == b"2"


def test_a_commit_during_a_repack_survives(packs: Packs) -> None:
    packs.commit(5)
    late = overtaken(packs.stores, lambda: packs.commit(1, start=77))
    assert packs.hub.run(repack_reachable(late, packs.id, grace_ms=-1, past=())) is not None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert len(packs.rows()) == 2
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f0").body == b"77"


def test_many_commits_request_a_repack(packs: Packs) -> None:
    from hubstead.commits.jobs import commit_jobs
    from hubstead.commits.ref_updates import REPACK
    from hubstead.jobs import list_jobs

    packs.commit(33)
    waiting = packs.hub.run(list_jobs(packs.hub.db))
    assert any(job.type == REPACK and job.subject == packs.id for job in waiting)
    packs.hub.run(run_job(commit_jobs(packs.stores), REPACK, packs.id))
    assert len(packs.rows()) < 10


def test_a_repacked_repository_is_cloned_completely(packs: Packs, tmp_path: Path) -> None:
    packs.commit(20)
    packs.hub.run(repack_repo(packs.stores, packs.id))
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    result = subprocess.run(
        ["git", "clone", "-q", f"{packs.hub.url}/{packs.repo}", str(tmp_path / "w")],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "w/f5").read_text() == "19"


def test_a_server_closes_the_packs_that_a_repack_replaced(packs: Packs) -> None:
    root = packs.stores.git.root
    for turn in range(4):
        packs.commit(12, start=turn * 12)
        commits = packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").json
        for item in commits:
            path = f"/{packs.repo}/raw/{item['id']}/README.md"
            assert packs.anna.call("GET", path).status in (200, 404)
        packs.hub.run(repack_repo(packs.stores, packs.id))
        packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f2").body == b"44"
    pack_folder = f"{root}/{packs.id[:2]}/{packs.id}.git/objects/pack"
    live = len(packs.rows())
    assert open_files(Path(pack_folder)) <= live
    assert mappings(Path(pack_folder)) <= 2 * live


def test_metrics_count_open_packs_and_mappings(packs: Packs) -> None:
    packs.commit(3)
    packs.anna.call("GET", f"/{packs.repo}/resolve/main/f2")
    text = packs.hub.call("GET", "/metrics").body.decode()
    lines = [line.split(" ") for line in text.splitlines() if not line.startswith("#")]
    values = {line[0]: float(line[1]) for line in lines if len(line) == 2}
    counts = packs.stores.git.handles.counts()
    assert counts.packs >= 3
    assert values["hubstead_git_open_packs"] == counts.packs
    assert values["hubstead_git_open_repositories"] == counts.repositories
    assert values["hubstead_git_readers"] == 0
    assert values["hubstead_mappings"] > 50
    assert values["process_open_fds"] > 5
    assert values["process_resident_memory_bytes"] > 1 << 20
