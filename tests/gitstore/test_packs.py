"""git accepts the packs of the hub, which appear completely or not at all."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead import errors
from hubstead.gitstore import GitRepo, GitStore, ObjectMissing, PutFile, edit_tree
from hubstead.gitstore import pack_draft as draft_module
from hubstead.gitstore.packfile import Packed, deflate, index_bytes
from hubstead.ids import new_object_id
from tests.gitstore.conftest import Git

from .conftest import ADA

A_FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
CONTENTS = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.builds(lambda text, times: text * times, st.binary(min_size=1), st.integers(1, 3000)),
        st.integers(1, 5000).map(os.urandom),
    ),
    min_size=1,
    max_size=8,
)


def packs_of(repo: GitRepo) -> Any:
    return sorted(path.name for path in (repo.path / "objects/pack").iterdir())


@A_FEW
@given(CONTENTS, st.integers(0, 9))
def test_git_accepts_every_pack_and_writes_the_same_index(
    git: Git,
    tmp_path_factory: pytest.TempPathFactory,
    contents: Any,
    level: int,
) -> None:
    root = tmp_path_factory.mktemp("git")
    repo = GitStore(root, compression=level).create(new_object_id())
    with repo.draft() as draft:
        blobs = [draft.blob(content) for content in contents]
        edits = {f"d{i % 3}/{i}": PutFile(oid) for i, oid in enumerate(blobs)}
        tree = edit_tree(repo, draft, None, edits)
        commit = draft.commit(tree, [], ADA, "first", time_s=1_700_000_000)
        pack = draft.finish()
    idx = tmp_path_factory.mktemp("idx") / "git.idx"
    named = git("index-pack", "--strict", "-o", idx, pack.pack_path).decode().strip()
    assert named == pack.name
    assert idx.read_bytes() == pack.idx_path.read_bytes()
    git("verify-pack", pack.pack_path)
    git("--git-dir", repo.path, "fsck", "--strict", "--full", commit)
    assert [repo.blob(oid) for oid in blobs] == contents
    assert pack.size == pack.pack_path.stat().st_size
    assert pack.objects == len(draft)


def test_a_large_draft_spools_to_a_file_with_bounded_memory(repo: GitRepo, git: Git) -> None:
    content = os.urandom(3 << 20)
    with repo.draft() as draft:
        small = draft.blob(b"small")
        large = draft.blob(content)
        assert draft.blob(content) == large
        (name,) = packs_of(repo)
        assert name.startswith("tmp_pack_")
        spilled = (repo.path / "objects/pack" / name).stat().st_size
        assert spilled >= len(content) - draft_module.SPILL_BYTES
        assert draft.get(large) == ("blob", content)
        assert draft.get(small) == ("blob", b"small")
        pack = draft.finish()
    git("verify-pack", pack.pack_path)
    assert pack.objects == 2
    assert repo.blob(large) == content
    assert len(packs_of(repo)) == 2


def test_a_discarded_draft_leaves_no_file(repo: GitRepo) -> None:
    with repo.draft() as draft:
        draft.blob(os.urandom(2 << 20))
        assert packs_of(repo) != []
    assert packs_of(repo) == []


def test_an_object_that_is_added_twice_is_written_once(repo: GitRepo) -> None:
    with repo.draft() as draft:
        assert draft.blob(b"same") == draft.blob(b"same")
        assert draft.finish().objects == 1


def test_packs_of_equal_objects_have_different_names(repo: GitRepo, store: GitStore) -> None:
    def written() -> Any:
        with repo.draft() as draft:
            oid = draft.blob(b"the same bytes in both")
            return oid, draft.finish()

    (oid, first), (_, second) = written(), written()
    assert first.name != second.name
    store.remove_pack(repo.repo_id, second.name)
    assert store.open(repo.repo_id).blob(oid) == b"the same bytes in both"


@given(st.binary(max_size=5000), st.integers(0, 9))
def test_the_salt_inflates_to_nothing(data: bytes, level: int) -> None:
    packed = deflate(data, level, salted=True)
    assert zlib.decompress(packed) == data
    assert deflate(data, level, salted=True) != packed


def test_an_object_outside_of_a_draft_is_missing(repo: GitRepo) -> None:
    with repo.draft() as draft, pytest.raises(ObjectMissing):
        draft.get("12" * 20)


def test_open_handles_see_new_objects_at_once(repo: GitRepo) -> None:
    with repo.draft() as draft:
        oid = draft.blob(b"new")
        assert not repo.has(oid)
        draft.finish()
    assert repo.has(oid)
    assert repo.blob(oid) == b"new"


@pytest.mark.parametrize("name", [b"", b".", b"..", b".git", b"a/b", b"a\0b"])
def test_a_tree_refuses_names_that_git_refuses(repo: GitRepo, name: bytes) -> None:
    with repo.draft() as draft:
        oid = bytes.fromhex(draft.blob(b""))
        with pytest.raises(errors.InvalidPath):
            draft.tree([(b"100644", name, oid)])


@pytest.mark.parametrize("names", [[b"b", b"a"], [b"a", b"a"]])
def test_an_unsorted_tree_is_refused(repo: GitRepo, names: list[bytes]) -> None:
    with repo.draft() as draft:
        oid = bytes.fromhex(draft.blob(b""))
        with pytest.raises(ValueError, match="out of order"):
            draft.tree([(b"100644", name, oid) for name in names])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=80))
def test_git_accepts_a_commit_of_any_person_and_message(
    a_repo: Callable[[], GitRepo], git: Git, name: str, email: str, message: str
) -> None:
    repo = a_repo()
    person = type(ADA)(name, email)
    with repo.draft() as draft:
        tree = draft.tree([])
        try:
            commit = draft.commit(tree, [], person, message, time_s=1)
        except errors.InvalidInput:
            assert "\0" in message
            return
        draft.finish()
    git("--git-dir", repo.path, "fsck", "--strict", "--full", commit)
    assert repo.commit(commit).message.strip("\n") == message.strip("\n")


def test_git_accepts_an_annotated_tag(repo: GitRepo, git: Git) -> None:
    with repo.draft() as draft:
        commit = draft.commit(draft.tree([]), [], ADA, "first", time_s=1)
        tag = draft.tag("v1", commit, ADA, "the first one", time_s=2)
        draft.finish()
    git("--git-dir", repo.path, "fsck", "--strict", "--full", tag)
    assert repo.peel(tag) == repo.peel_tag(tag) == commit
    assert repo.peel_tag(commit) is None


def test_a_full_disk_is_a_typed_error_and_leaves_nothing(
    repo: GitRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with repo.draft() as draft:
        draft.blob(b"content")
        with pytest.raises(errors.StorageFull):
            draft.finish()
    assert packs_of(repo) == []


def test_an_index_has_offsets_beyond_two_gibibytes_in_its_second_table() -> None:
    far = 5 << 30
    rows = [
        Packed(b"\x01" * 20, "blob", 1, 12, 10, 7),
        Packed(b"\x02" * 20, "blob", 1, far, 10, 8),
    ]
    data = index_bytes(rows, b"c" * 20)
    body = data[8 + 1024 + 2 * 20 + 2 * 4 :]
    assert body[:4] == (12).to_bytes(4, "big")
    assert body[4:8] == (1 << 31).to_bytes(4, "big")
    assert body[8:16] == far.to_bytes(8, "big")


def test_the_recorded_size_of_a_pack_equals_git_s(repo: GitRepo, store: GitStore) -> None:
    with repo.draft() as draft:
        subtree = draft.tree([(b"100644", b"file", bytes.fromhex(draft.blob(b"file")))])
        commit = draft.commit(subtree, [], ADA, "one", time_s=1_700_000_000)
        draft.finish()
    cold = type(store)(store.root).open(repo.repo_id)
    assert tuple(repo.rows(subtree)) == tuple(cold.rows(subtree))
    assert repo.tree_of(commit) == cold.tree_of(commit) == repo.tree_of(subtree) == subtree
