"""What could not all be looked at is refused: the rest could be what no push may bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hubstead.gitstore import GitRepo, GitStore, PutFile, edit_tree
from hubstead.gitstore.staging import PackRefused, PushLimits, RegisteredState, Staging

from .conftest import ADA

ROOM = PushLimits(pack_bytes=1 << 30, memory_bytes=4 << 30, cpu_s=60)
#: Not even enough for git to start.
NO_ROOM = ROOM._replace(memory_bytes=1 << 20)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n" % (b"a" * 64)
MANY = 20_000  # more than a pipe holds


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


def test_the_paths_of_a_commit_are_those_of_its_files_and_folders(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    assert list(stage(ROOM).paths(content.commit)) == [b"folder", b"folder/file.bin"]


def test_a_list_of_paths_that_ends_early_is_no_list(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    with pytest.raises(PackRefused, match="too much memory or time"):
        list(stage(NO_ROOM).paths(content.commit))


@pytest.mark.parametrize("count", [1, MANY])
def test_pointers_are_found_among_what_was_asked_for(
    stage: Callable[[PushLimits], Staging], content: Content, count: int
) -> None:
    with stage(ROOM).read_blobs() as reading:
        for _ in range(count):
            reading.request(content.blob)
        found = list(reading.pointers())
    assert len(found) == count
    assert {(oid, pointer and pointer.oid) for oid, pointer in found} == {(content.blob, "a" * 64)}


@pytest.mark.parametrize("count", [1, MANY])
def test_blobs_that_were_not_read_are_not_taken_for_plain_ones(
    stage: Callable[[PushLimits], Staging], content: Content, count: int
) -> None:
    with stage(NO_ROOM).read_blobs() as reading:
        for _ in range(count):
            reading.request(content.blob)
        with pytest.raises(PackRefused, match="too much memory or time"):
            list(reading.pointers())


def test_objects_that_could_not_be_looked_up_are_not_of_some_other_kind(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    assert stage(ROOM).kinds([content.commit]) == {content.commit: ("commit", content.commit)}
    with pytest.raises(PackRefused):
        stage(NO_ROOM).kinds([content.commit])


def test_a_walk_that_ends_early_has_not_found_everything(
    stage: Callable[[PushLimits], Staging], content: Content
) -> None:
    with pytest.raises(PackRefused, match="too much memory or time"):
        list(stage(NO_ROOM).new_blobs([content.commit]))
