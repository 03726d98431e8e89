"""A push that could not be checked completely is refused: the rest could break a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hubstead.gitstore import GitRepo, GitStore, PutFile, edit_tree
from hubstead.gitstore.staging import PackRefused, PushLimits, RegisteredState, Staging

from .conftest import ADA

ROOM = PushLimits(pack_bytes=1 << 30, memory_bytes=4 << 30, cpu_s=60)
#: Too little time even for git's start.
NO_ROOM = ROOM._replace(memory_bytes=1 << 20)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n" % (b"a" * 64)
MANY = 20_000  # more than the buffer of a pipe


class Content(NamedTuple):
    """A repository of one commit of one file, a pointer."""

    pack: str
    commit: str
    blob: str


@pytest.fixture
def content(repo: GitRepo) -> Content:
    with repo.draft() as draft:
        blob = draft.blob(POINTER)
        tree = edit_tree(repo, draft, None, {"folder/file.bin": PutFile(blob)})
        commit = draft.commit(tree, [], ADA, "first", time_s=1_700_000_000)
        return Content(draft.finish().name, commit, blob)


@pytest.fixture
def stage(
    store: GitStore, repo: GitRepo, content: Content
) -> Iterator[Callable[[PushLimits], Staging]]:
    begun: list[Staging] = []

    def begin(limits: PushLimits) -> Staging:
        begun.append(
            store.stage(repo.repo_id, RegisteredState([content.pack], [content.commit]), limits)
        )
        return begun[-1]

    yield begin
    for staging in begun:
        staging.remove()
        assert not staging.path.exists()


def test_the_paths_of_a_commit_include_files_and_folders(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    assert list(stage(ROOM).paths([content.commit])) == [b"folder", b"folder/file.bin"]


def test_an_interrupted_list_of_paths_is_an_error(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    with pytest.raises(PackRefused, match="too much memory or time"):
        list(stage(NO_ROOM).paths([content.commit]))


@pytest.mark.parametrize("count", [1, MANY])
def test_pointers_are_recognised_among_the_requested_blobs(
    stage: Callable[[PushLimits], Staging], content: Content, count: int
) -> None:
    with stage(ROOM).read_blobs() as reading:
        for _ in range(count):
            reading.request(content.blob)
        pointers = list(reading.pointers())
    assert len(pointers) == count
    assert {(oid, pointer and pointer.oid) for oid, pointer in pointers} == {
        (content.blob, "a" * 64)
    }


@pytest.mark.parametrize("count", [1, MANY])
def test_unread_blobs_are_not_taken_as_plain_ones(
    stage: Callable[[PushLimits], Staging], content: Content, count: int
) -> None:
    with stage(NO_ROOM).read_blobs() as reading:
        for _ in range(count):
            reading.request(content.blob)
        with pytest.raises(PackRefused, match="too much memory or time"):
            list(reading.pointers())


def test_an_interrupted_lookup_of_types_is_an_error(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    assert stage(ROOM).kinds([content.commit]) == {content.commit: ("commit", content.commit)}
    with pytest.raises(PackRefused):
        stage(NO_ROOM).kinds([content.commit])


def test_an_interrupted_walk_is_an_error(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    with pytest.raises(PackRefused, match="too much memory or time"):
        list(stage(NO_ROOM).new_blobs([content.commit]))


def test_commits_that_share_folders_have_them_listed_once(
    store: GitStore, repo: GitRepo, content: Content, stage: Callable[[PushLimits], Staging]
) -> None:
    with repo.draft() as draft:
        blob, base = draft.blob(b"x"), repo.tree_of(content.commit)
        commits = []
        for number in range(3):
            tree = edit_tree(repo, draft, base, {f"new{number}": PutFile(blob)})
            commits.append(draft.commit(tree, [], ADA, "next", time_s=1_700_000_000))
        pack = draft.finish().name
    registered = RegisteredState([content.pack, pack], [content.commit])
    staging = store.stage(repo.repo_id, registered, ROOM)
    paths = list(staging.paths([content.commit, *commits, content.commit]))
    staging.remove()
    assert paths.count(b"folder/file.bin") == 1
    assert set(paths) == {b"folder", b"folder/file.bin", b"new0", b"new1", b"new2"}


def test_more_trees_than_requests_fit_into_a_pipe_are_listed(
    store: GitStore, repo: GitRepo
) -> None:
    with repo.draft() as draft:
        blob = draft.blob(b"x")
        files = {f"d{number}/e/f": PutFile(blob) for number in range(1500)}
        tree = edit_tree(repo, draft, None, files)
        commit = draft.commit(tree, [], ADA, "many", time_s=1_700_000_000)
        pack = draft.finish().name
    staging = store.stage(repo.repo_id, RegisteredState([pack], [commit]), ROOM)
    assert len(list(staging.paths([commit]))) == 3 * 1500
    staging.remove()
