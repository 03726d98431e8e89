"""Packs are folded, nothing that a ref reaches is ever lost, and what nothing reaches goes."""

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
def test_after_folding_each_pack_holds_twice_what_all_smaller_ones_hold(sizes: list[int]) -> None:
    packs = [PackSize(f"{n:040x}", size) for n, size in enumerate(sizes)]
    folded = set(packs_to_repack(packs))
    assert len(folded) != 1
    left = sorted(pack.objects for pack in packs if pack.name not in folded)
    made = [sum(pack.objects for pack in packs if pack.name in folded)] if folded else []
    after = sorted(left + made)
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

            found = await open_repo_by_id(
                self.hub.db, Actor(pk=self.anna.pk, may_write=True), self.id
            )
            self.tips = [row.oid for row in await self.hub.db.all(_REFS, pk=found.pk)]
            return await self.hub.db.all(_PACKS, pk=found.pk)

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


def test_many_packs_become_few_and_everything_is_read_as_before(packs: Packs) -> None:
    packs.commit(40)
    made = packs.hub.run(repack_repo(packs.stores, packs.id))
    assert made is not None
    assert len(packs.rows()) < 8
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f4").body == b"39"
    packs.commit(3, start=100)
    assert packs.hub.run(repack_repo(packs.stores, packs.id)) is not None
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").status == 200


def test_files_of_folded_packs_stay_for_the_grace_period(packs: Packs) -> None:
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


def test_objects_that_no_ref_reaches_go_and_all_others_stay(packs: Packs) -> None:
    packs.commit(5)
    packs.anna.api.create_branch(packs.repo, branch="side")
    packs.anna.commit(
        packs.repo, {"key": "file", "value": {"path": "gone", "content": "gone"}}, rev="side"
    )
    refs = packs.anna.call("GET", f"/api/models/{packs.repo}/refs").json
    lost = next(ref["targetCommit"] for ref in refs["branches"] if ref["name"] == "side")
    packs.anna.api.delete_branch(packs.repo, branch="side")
    git = packs.stores.git.open(packs.id)
    assert git.has(lost)
    assert packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=60_000, past=())) is None
    made = packs.hub.run(repack_reachable(packs.stores, packs.id, grace_ms=-1, past=()))
    assert made is not None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert [row.name for row in packs.rows()] == [made.name]
    assert not packs.stores.git.open(packs.id).has(lost)
    assert packs.fsck() == []
    path = packs.stores.git.path(packs.id)
    assert (path / "objects/info/commit-graph").exists()
    assert list((path / "objects/pack").glob("*.bitmap"))
    packs.commit(2, start=50)
    assert packs.fsck() == []


def test_what_a_ref_left_of_late_is_kept_and_so_is_all_in_the_background(packs: Packs) -> None:
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


def test_a_ref_that_moves_while_all_is_gathered_keeps_what_it_needs(packs: Packs) -> None:
    packs.commit(3)
    old = packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").json[0]["id"]
    packs.anna.api.super_squash_history(packs.repo)  # now nothing reaches the old commits

    def meanwhile() -> None:
        packs.anna.api.create_branch(packs.repo, branch="back", revision=old)

    late = overtaken(packs.stores, meanwhile)
    assert packs.hub.run(repack_reachable(late, packs.id, grace_ms=-1, past=())) is None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/back/f2").body == b"2"


def test_a_commit_made_while_all_is_gathered_is_kept(packs: Packs) -> None:
    packs.commit(5)
    late = overtaken(packs.stores, lambda: packs.commit(1, start=77))
    assert packs.hub.run(repack_reachable(late, packs.id, grace_ms=-1, past=())) is not None
    packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert len(packs.rows()) == 2
    assert packs.fsck() == []
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f0").body == b"77"


def test_after_many_commits_somebody_is_asked_to_fold(packs: Packs) -> None:
    from hubstead.commits.jobs import commit_jobs
    from hubstead.commits.ref_updates import REPACK
    from hubstead.jobs import list_jobs

    packs.commit(33)
    waiting = packs.hub.run(list_jobs(packs.hub.db))
    assert any(job.type == REPACK and job.subject == packs.id for job in waiting)
    packs.hub.run(run_job(commit_jobs(packs.stores), REPACK, packs.id))
    assert len(packs.rows()) < 10


def test_a_folded_repository_is_cloned_whole(packs: Packs, tmp_path: Path) -> None:
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


def test_a_server_holds_no_pack_open_that_was_folded(packs: Packs) -> None:
    root = packs.stores.git.root
    for turn in range(4):
        packs.commit(12, start=turn * 12)
        commits = packs.anna.call("GET", f"/api/models/{packs.repo}/commits/main").json
        for each in commits:
            path = f"/{packs.repo}/raw/{each['id']}/README.md"
            assert packs.anna.call("GET", path).status in (200, 404)
        packs.hub.run(repack_repo(packs.stores, packs.id))
        packs.hub.run(remove_retired_packs(packs.stores, grace_ms=-1))
    assert packs.anna.call("GET", f"/{packs.repo}/resolve/main/f2").body == b"44"
    gone = f"{root}/{packs.id[:2]}/{packs.id}.git/objects/pack"
    live = len(packs.rows())
    assert open_files(Path(gone)) <= live
    assert mappings(Path(gone)) <= 2 * live


def test_metrics_tell_how_much_is_open(packs: Packs) -> None:
    packs.commit(3)
    packs.anna.call("GET", f"/{packs.repo}/resolve/main/f2")
    text = packs.hub.call("GET", "/metrics").body.decode()
    lines = [line.split(" ") for line in text.splitlines() if not line.startswith("#")]
    values = {line[0]: float(line[1]) for line in lines if len(line) == 2}
    opened = packs.stores.git.open_counts()
    assert opened.packs >= 3
    assert values["hubstead_git_open_packs"] == opened.packs
    assert values["hubstead_git_open_repositories"] == opened.repositories
    assert values["hubstead_git_readers"] == 0
    assert values["hubstead_mappings"] > 50
    assert values["process_open_fds"] > 5
    assert values["process_resident_memory_bytes"] > 1 << 20
