"""Repositories on disk: creation, loss, checks, and access by git's programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubstead import errors
from hubstead.gitstore import GitRepo, GitStore, ObjectMissing, PutFile, RepoMissing, edit_tree
from hubstead.ids import new_object_id
from tests.gitstore.conftest import Git

from .conftest import ADA


def write(
    repo: GitRepo,
    files: dict[str, bytes],
    *,
    base: Any = None,
    parents: Any = (),
    time_s: int = 1_700_000_000,
) -> Any:
    """Commit files over a tree; return (commit, tree, pack)."""
    with repo.draft() as draft:
        edits = {path: PutFile(draft.blob(content)) for path, content in files.items()}
        tree = edit_tree(repo, draft, base, edits)
        commit = draft.commit(tree, parents, ADA, "change", time_s=time_s)
        return commit, tree, draft.finish()


def test_git_accepts_a_new_repository(repo: GitRepo, git: Git) -> None:
    assert git("--git-dir", repo.path, "rev-parse", "--is-bare-repository").strip() == b"true"
    assert git("--git-dir", repo.path, "symbolic-ref", "HEAD").strip() == b"refs/heads/main"
    assert git("--git-dir", repo.path, "config", "core.fsync").strip() == b"all"
    git("--git-dir", repo.path, "fsck", "--strict")


def test_a_repeated_creation_preserves_the_content(store: GitStore, repo: GitRepo) -> None:
    commit, _, _ = write(repo, {"a": b"1"})
    assert store.create(repo.repo_id).has(commit)


def test_a_repository_without_its_folder_is_missing_and_can_be_created_again(
    store: GitStore, a_repo: Callable[[], GitRepo]
) -> None:
    repo = a_repo()
    shutil.rmtree(repo.path)
    assert not store.exists(repo.repo_id)
    with pytest.raises(RepoMissing):
        store.open(repo.repo_id)
    again = store.create(repo.repo_id)
    commit, _, _ = write(again, {"a": b"1"})
    assert store.open(repo.repo_id).has(commit)


def test_a_partly_missing_repository_can_be_created_again(
    store: GitStore, a_repo: Callable[[], GitRepo]
) -> None:
    repo = a_repo()
    (repo.path / "HEAD").unlink()
    assert store.create(repo.repo_id).path.is_dir()
    assert store.fsck(repo.repo_id, []) == []


def test_a_removed_repository_is_missing_and_a_second_removal_is_no_fault(
    store: GitStore, a_repo: Callable[[], GitRepo]
) -> None:
    repo = a_repo()
    store.remove(repo.repo_id)
    store.remove(repo.repo_id)
    assert not repo.path.exists()
    assert repo.repo_id not in set(store.repo_ids())


def test_exactly_the_repositories_are_listed(tmp_path: Path) -> None:
    store = GitStore(tmp_path / "root")
    ids = {store.create(new_object_id()).repo_id for _ in range(3)}
    (store.root / "note.txt").write_text("not a repository")
    (store.root / "ab").mkdir()
    (store.root / "ab" / "tmp_123").mkdir()
    assert list(store.repo_ids()) == sorted(ids)


@pytest.mark.parametrize("repo_id", ["", "../../etc", "A" * 24, "a" * 23])
def test_only_a_valid_id_has_a_folder(store: GitStore, repo_id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        store.path(repo_id)


def test_a_store_has_a_limit_of_open_repositories(tmp_path: Path) -> None:
    store = GitStore(tmp_path, max_open=2)
    repos = [store.create(new_object_id()) for _ in range(4)]
    assert store.handles.counts().repositories == 2
    assert store.open(repos[0].repo_id).path == repos[0].path


def test_packs_of_other_processes_are_visible(store: GitStore, repo: GitRepo) -> None:
    program = (
        "import sys, pathlib; from hubstead.gitstore import GitStore\n"
        "repo = GitStore(pathlib.Path(sys.argv[1])).open(sys.argv[2])\n"
        "draft = repo.draft(); print(draft.blob(b'from elsewhere')); draft.finish()"
    )
    command = [sys.executable, "-c", program, str(store.root), repo.repo_id]
    oid = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    assert repo.blob(oid) == b"from elsewhere"


def test_repacked_objects_are_readable_from_the_new_pack(
    store: GitStore, repo: GitRepo, git: Git
) -> None:
    commits = [write(repo, {"a": b"%d" % i}) for i in range(3)]
    tips = "\n".join(commit for commit, _, _ in commits).encode()
    other = GitStore(store.root).open(repo.repo_id)
    assert all(other.has(commit) for commit, _, _ in commits)
    base = repo.path / "objects/pack/pack"
    git("--git-dir", repo.path, "pack-objects", "--revs", base, stdin=tips)
    for _, _, pack in commits:
        pack.idx_path.unlink()
        pack.pack_path.unlink()
    assert [other.commit(commit).tree for commit, _, _ in commits] == [
        tree for _, tree, _ in commits
    ]


def test_a_pack_can_be_installed_into_a_repository_that_was_created_again(
    store: GitStore, a_repo: Callable[[], GitRepo], tmp_path: Path
) -> None:
    repo = a_repo()
    commit, _, pack = write(repo, {"a/b": b"1"})
    copies = tmp_path / "fetched"
    shutil.copyfile(pack.pack_path, copies)
    store.remove(repo.repo_id)
    store.create(repo.repo_id)
    store.install_pack(repo.repo_id, pack.name, copies)
    store.install_pack(repo.repo_id, pack.name, copies)
    assert store.pack_names(repo.repo_id) == [pack.name]
    entry = store.open(repo.repo_id).entry(commit, "a/b")
    assert entry is not None
    assert entry.size == 1
    assert store.fsck(repo.repo_id, [commit]) == []


def test_a_damaged_or_misnamed_pack_is_not_installed(
    store: GitStore, a_repo: Callable[[], GitRepo], tmp_path: Path
) -> None:
    _, _, pack = write(a_repo(), {"a": b"1" * 1000})
    target = a_repo()
    with pytest.raises(errors.BlobCorrupt):
        store.install_pack(target.repo_id, "0" * 40, pack.pack_path)
    data = bytearray(pack.pack_path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(errors.BlobCorrupt):
        store.install_pack(target.repo_id, pack.name, tmp_path / "damaged")
    assert list((target.path / "objects/pack").iterdir()) == []


def test_a_removal_of_a_pack_removes_its_objects(store: GitStore, repo: GitRepo) -> None:
    commit, _, pack = write(repo, {"a": b"1"})
    store.remove_pack(repo.repo_id, pack.name)
    assert store.pack_names(repo.repo_id) == []
    assert not store.open(repo.repo_id).has(commit)
    with pytest.raises(ObjectMissing):
        repo.commit(commit)


def test_files_of_a_crash_are_never_packs_and_are_swept_by_age(
    store: GitStore, repo: GitRepo, git: Git
) -> None:
    commit, _, pack = write(repo, {"a": b"1"})
    folder = store.packs_path(repo.repo_id)
    stray = folder / f"pack-{'1' * 40}.pack"
    leftovers = [folder / "tmp_pack_0123", folder / "tmp_idx_0123", stray]
    for path in leftovers:
        path.write_bytes(pack.pack_path.read_bytes()[:40])
    assert store.pack_names(repo.repo_id) == [pack.name]
    assert GitStore(store.root).open(repo.repo_id).has(commit)
    assert store.fsck(repo.repo_id, [commit]) == []
    assert store.sweep(repo.repo_id, older_than_s=3600) == 0
    for path in leftovers:
        os.utime(path, (1, 1))
    assert store.sweep(repo.repo_id, older_than_s=3600) == 3
    assert sorted(folder.iterdir()) == sorted([pack.pack_path, pack.idx_path])


def test_a_write_killed_at_any_moment_is_complete_or_absent(
    store: GitStore, a_repo: Callable[[], GitRepo]
) -> None:
    repo = a_repo()
    program = (
        "import sys, pathlib; from hubstead.gitstore import GitStore\n"
        "repo = GitStore(pathlib.Path(sys.argv[1])).open(sys.argv[2])\n"
        "for i in range(100000):\n"
        "    draft = repo.draft(); oid = draft.blob(b'%d' % i); draft.finish()\n"
        "    print(oid, flush=True)"
    )
    command = [sys.executable, "-c", program, str(store.root), repo.repo_id]
    for delay in (0.02, 0.05):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(delay)
        process.kill()
        lines = process.communicate()[0].split()
        assert all(repo.has(oid) for oid in lines if len(oid) == 40)
        assert store.fsck(repo.repo_id, []) == []


def test_incomplete_repositories_of_a_crash_are_swept_by_age(tmp_path: Path) -> None:
    store = GitStore(tmp_path)
    complete = store.create(new_object_id())
    leftover = complete.path.parent / "tmp_0123"
    (leftover / "objects").mkdir(parents=True)
    assert store.sweep_drafts(older_than_s=60) == 0
    os.utime(leftover, (1, 1))
    assert store.sweep_drafts(older_than_s=60) == 1
    assert list(complete.path.parent.iterdir()) == [complete.path]


def test_a_write_to_a_missing_repository_is_an_error(a_repo: Callable[[], GitRepo]) -> None:
    repo = a_repo()
    with repo.draft() as draft:
        draft.blob(b"x")
        shutil.rmtree(repo.path)
        with pytest.raises(RepoMissing, match=repo.repo_id):
            draft.finish()


def test_fsck_reports_a_damaged_pack_and_a_missing_object(
    store: GitStore, a_repo: Callable[[], GitRepo]
) -> None:
    repo = a_repo()
    commit, _, pack = write(repo, {"a": b"1" * 5000})
    assert store.fsck(repo.repo_id, [commit]) == []
    assert store.fsck(repo.repo_id, ["12" * 20]) != []
    data = bytearray(pack.pack_path.read_bytes())
    data[-30] ^= 1
    pack.pack_path.chmod(0o644)
    pack.pack_path.write_bytes(data)
    assert store.fsck(repo.repo_id, [commit]) != []


def test_a_projection_has_its_refs(
    store: GitStore, repo: GitRepo, git: Git, tmp_path: Path
) -> None:
    first, tree, _ = write(repo, {"a": b"1"})
    second, _, _ = write(repo, {"b": b"2"}, base=tree, parents=[first], time_s=1_700_000_001)
    refs = {"refs/heads/main": second, "refs/tags/v1": first, "refs/heads/dev/x": first}
    shown_refs = {name: (oid, oid) for name, oid in refs.items()}
    path = store.projection(repo.repo_id, shown_refs, "refs/heads/main")
    shown = git("--git-dir", path, "for-each-ref", "--format=%(refname) %(objectname)").decode()
    assert dict(line.split() for line in shown.splitlines()) == refs
    assert git("--git-dir", path, "rev-parse", "HEAD").decode().strip() == second
    git("--git-dir", path, "fsck", "--strict")
    git("clone", "-q", f"file://{path}", tmp_path / "clone")
    assert (tmp_path / "clone" / "b").read_bytes() == b"2"


def test_a_projection_peels_annotated_tags(store: GitStore, repo: GitRepo, git: Git) -> None:
    commit, _, _ = write(repo, {"a": b"1"})
    body = f"object {commit}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n\nv1\n"
    tag = git("--git-dir", repo.path, "mktag", stdin=body.encode()).decode().strip()
    path = store.projection(repo.repo_id, {"refs/tags/v1": (tag, commit)}, "refs/heads/main")
    assert f"{tag} refs/tags/v1\n^{commit}\n" in (path / "packed-refs").read_text()
    assert repo.peel(tag) == commit


def test_equal_projections_are_shared_and_unused_ones_are_swept(
    store: GitStore, repo: GitRepo
) -> None:
    commit, _, _ = write(repo, {"a": b"1"})
    refs = {"refs/heads/main": (commit, commit)}
    path = store.projection(repo.repo_id, refs, "refs/heads/main")
    assert store.projection(repo.repo_id, refs, "refs/heads/main") == path
    assert store.projection(repo.repo_id, refs, "refs/heads/other") != path
    os.utime(path, (1, 1))
    assert store.sweep(repo.repo_id, older_than_s=60) == 1
    assert not path.exists()
    assert store.projection(repo.repo_id, refs, "refs/heads/main").is_dir()


def test_many_threads_read_write_and_open_concurrently(tmp_path: Path) -> None:
    store = GitStore(tmp_path, max_open=2)
    repos = [store.create(new_object_id()) for _ in range(4)]
    faults = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                repo = store.open(repos[(number + turn) % 4].repo_id)
                files = {f"d{i}/f{turn}": b"%d %d" % (number, turn) for i in range(3)}
                commit, tree, _ = write(repo, files)
                repo = store.open(repo.repo_id)
                assert repo.commit(commit).tree == tree
                assert [entry.size for entry in repo.walk_files(commit)] == [
                    len(files[f"d0/f{turn}"])
                ] * 3
                assert repo.count(commit) == 1
                assert repo.last_commits(commit, ["d1"])["d1"].oid == commit
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_thousand_small_files_arrive_in_one_pack_without_loose_objects(repo: GitRepo) -> None:
    """One file per object would need a thousand fsyncs instead of one per pack and index."""
    before = {path for path in repo.path.rglob("*") if path.is_file()}
    write(repo, {f"d{i % 10}/f{i}.txt": os.urandom(200).hex().encode() for i in range(1000)})
    added = [path for path in repo.path.rglob("*") if path.is_file() and path not in before]
    assert sorted(path.suffix for path in added) == [".idx", ".pack"]
