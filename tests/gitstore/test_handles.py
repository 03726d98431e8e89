"""A process closes packs that were deleted, and has a limit of open ones."""

from __future__ import annotations

import os
from pathlib import Path

import pygit2

from hubstead.gitstore import GitRepo, GitStore
from hubstead.gitstore.handles import OpenCounts
from hubstead.ids import new_object_id
from tests.gitstore.test_store import write


def open_files(root: Path) -> int:
    """Return how many files below a folder this process has open."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith(str(root))
        except FileNotFoundError:
            continue
    return count


def mappings(root: Path) -> int:
    """Return how many mappings of files below a folder this process has."""
    return sum(str(root) in line for line in Path("/proc/self/maps").read_text().splitlines())


def write_and_read(repo: GitRepo, count: int) -> list[str]:
    """Write packs, and read one object from every pack, which opens it."""
    oids = [write(repo, {f"f{n}": os.urandom(20)})[0] for n in range(count)]
    assert all(repo.commit(oid).oid == oid for oid in oids)
    return oids


def test_replaced_packs_are_neither_open_nor_mapped(tmp_path: Path) -> None:
    store = GitStore(tmp_path)
    repo = store.create(new_object_id())
    commits = []
    for _ in range(5):
        commits += write_and_read(repo, 30)
        old = store.pack_names(repo.repo_id)
        assert open_files(tmp_path) >= 30, "libgit2 opens no files that are counted here"
        with store.repacker(repo.repo_id) as repacker:
            result = repacker.combine_packs(old)
        assert result is not None
        for name in set(old) - {result.name}:
            store.remove_pack(repo.repo_id, name)
        assert all(repo.commit(oid).oid == oid for oid in commits)
        assert open_files(tmp_path) <= 2
        assert mappings(tmp_path) <= 4


def test_a_process_closes_packs_that_another_one_removed(tmp_path: Path) -> None:
    store, other = GitStore(tmp_path), GitStore(tmp_path)
    repo = store.create(new_object_id())
    commits = write_and_read(repo, 20)
    old = store.pack_names(repo.repo_id)
    with other.repacker(repo.repo_id) as repacker:
        repacker.combine_packs(old)
    for name in old:
        other.remove_pack(repo.repo_id, name)
    assert open_files(tmp_path) >= 20
    store.handles.refresh()
    assert open_files(tmp_path) == mappings(tmp_path) == 0
    assert repo.commit(commits[0]).oid == commits[0]


def test_repositories_have_a_limit_of_open_packs_despite_other_references(tmp_path: Path) -> None:
    store = GitStore(tmp_path, max_open_packs=50)
    references = []
    for _ in range(8):
        repo = store.create(new_object_id())
        commits = write_and_read(repo, 20)
        references += [entry for oid in commits for entry in repo.walk_files(oid)]
        assert store.handles.counts().packs <= 50
        assert open_files(tmp_path) <= 50
        assert mappings(tmp_path) <= 100
    assert [entry.size for entry in references] == [20] * len(references)
    assert store.handles.counts() <= OpenCounts(2, 50)
    assert open_files(tmp_path) <= 50


def test_a_read_in_progress_continues_to_its_end(tmp_path: Path) -> None:
    store = GitStore(tmp_path, max_open=1)
    repo = store.create(new_object_id())
    oid = write(repo, {"a": b"still here"})[0]

    def read(git: pygit2.Repository) -> bytes:
        store.create(new_object_id())
        store.handles.close(repo.repo_id)
        blob = git[oid].peel(pygit2.Tree)["a"]
        assert isinstance(blob, pygit2.Blob)
        return blob.data

    assert repo.with_handle(oid, read) == b"still here"
    assert open_files(repo.path) == mappings(repo.path) == 0
