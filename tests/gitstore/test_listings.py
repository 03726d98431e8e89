"""Listings and histories equal git's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead import errors
from hubstead.gitstore import GitRepo, ObjectMissing, PutFile, RemoveEntry, edit_tree
from hubstead.ids import EMPTY_TREE
from tests.gitstore.conftest import Git

from .conftest import ADA

NAMES = st.sampled_from(["a", "a.b", "a-b", "a0", "b", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def oid_at(repo: GitRepo, tree: str, path: str) -> str:
    entry = repo.entry(tree, path)
    assert entry is not None
    return entry.oid


def tree_with(repo: GitRepo, paths: Iterable[str]) -> str:
    """Write a tree of those paths that do not conflict."""
    with repo.draft() as draft:
        tree = draft.tree([])
        for path in sorted(paths):
            try:
                tree = edit_tree(repo, draft, tree, {path: PutFile(draft.blob(path.encode()))})
            except errors.InvalidInput:
                continue
        draft.finish()
    return tree


def listed(git: Git, repo: GitRepo, tree: Any, *options: Any) -> Any:
    """Return the output of git ls-tree: (path, oid) in its order."""
    output = git("--git-dir", repo.path, "ls-tree", "-z", *options, tree).decode()
    lines = [line for line in output.split("\0") if line]
    return [(line.split("\t")[1], line.split()[2]) for line in lines]


@SLOW
@given(st.sets(PATHS, max_size=25), st.integers(1, 5), st.booleans())
def test_all_pages_together_are_the_listing_of_git(
    a_repo: Callable[[], GitRepo], git: Git, paths: list[str], size: int, recursive: bool
) -> None:
    repo = a_repo()
    tree = tree_with(repo, paths)
    wanted = listed(git, repo, tree, *(["-r", "-t"] if recursive else []))
    pages: list[Any] = []
    after = None
    while page := repo.tree_page(tree, recursive=recursive, after=after, limit=size):
        assert len(page) <= size
        pages.extend((entry.path, entry.oid) for entry in page)
        after = page[-1].path
    assert pages == wanted
    files = [(entry.path, entry.oid) for entry in repo.walk_files(tree)]
    assert files == listed(git, repo, tree, "-r")


@SLOW
@given(st.sets(PATHS, max_size=25), st.integers(1, 5))
def test_pages_of_folders_first_list_folders_and_then_files(
    a_repo: Callable[[], GitRepo], git: Git, paths: list[str], size: int
) -> None:
    repo = a_repo()
    tree = tree_with(repo, paths)
    folders = listed(git, repo, tree, "-d")
    files = [entry for entry in listed(git, repo, tree) if entry not in folders]
    pages: list[Any] = []
    after = None
    while page := repo.tree_page(tree, folders_first=True, after=after, limit=size):
        assert len(page) <= size
        pages.extend((entry.path, entry.oid) for entry in page)
        after = page[-1].path + ("/" if page[-1].type == "tree" else "")
    assert pages == folders + files


@pytest.mark.parametrize("removed", ["b/", "b", "z/"])
def test_folders_first_resumes_after_a_removed_last_entry(repo: GitRepo, removed: str) -> None:
    tree = tree_with(repo, {"a", "a.d/x", "c", "c.d/x"})
    rest = [entry.path for entry in repo.tree_page(tree, folders_first=True, after=removed)]
    assert rest == {"b/": ["c.d", "a", "c"], "b": ["c"], "z/": ["a", "c"]}[removed]


def test_folders_first_works_in_a_subfolder_too(repo: GitRepo) -> None:
    tree = tree_with(repo, {"d/a", "d/b/c", "d/e", "f"})
    assert [e.path for e in repo.tree_page(tree, "d", folders_first=True)] == ["d/b", "d/a", "d/e"]
    rest = repo.tree_page(tree, "d", folders_first=True, after="d/b/")
    assert [entry.path for entry in rest] == ["d/a", "d/e"]


@SLOW
@given(st.sets(PATHS, min_size=1, max_size=20), PATHS)
def test_a_path_leads_to_the_same_entry_as_in_git(
    a_repo: Callable[[], GitRepo], git: Git, paths: list[str], other: str
) -> None:
    repo = a_repo()
    tree = tree_with(repo, paths)
    wanted = dict(listed(git, repo, tree, "-r", "-t"))
    for path in [*wanted, other]:
        entry = repo.entry(tree, path)
        assert (entry and entry.oid) == wanted.get(path)
        if entry and entry.type == "blob":
            assert entry.size == len(path.encode())
            assert repo.blob(entry.oid) == path.encode()


@SLOW
@given(st.sets(PATHS, max_size=15), st.sets(PATHS, max_size=15))
def test_changed_names_equal_git_s(
    a_repo: Callable[[], GitRepo], git: Git, before: Any, after: Any
) -> None:
    repo = a_repo()
    old, new = tree_with(repo, before), tree_with(repo, after)
    output = git("--git-dir", repo.path, "diff-tree", "-r", "-z", old, new).decode().split("\0")
    wanted = []
    for facts, path in zip(output[::2], output[1::2], strict=False):
        old_oid, new_oid = facts.split()[2:4]
        wanted.append((path, *[None if set(oid) == {"0"} else oid for oid in (old_oid, new_oid)]))
    assert repo.diff_names(old, new) == sorted(wanted)


def test_a_page_of_a_folder_has_full_paths_and_resumes(repo: GitRepo) -> None:
    tree = tree_with(repo, {"d/a", "d/b/c", "d/e", "f"})
    page = repo.tree_page(tree, "d", recursive=True, limit=2)
    assert [entry.path for entry in page] == ["d/a", "d/b"]
    rest = repo.tree_page(tree, "d", recursive=True, after="d/b")
    assert [entry.path for entry in rest] == ["d/b/c", "d/e"]
    with pytest.raises(errors.InvalidInput):
        repo.tree_page(tree, "d", after="f")


@pytest.mark.parametrize("folder", ["no", "f", "f/x"])
def test_only_a_folder_can_be_listed(repo: GitRepo, folder: str) -> None:
    tree = tree_with(repo, {"d/a", "f"})
    with pytest.raises(errors.EntryNotFound):
        repo.tree_page(tree, folder)


def test_a_deep_tree_is_listed_without_recursion(repo: GitRepo) -> None:
    with repo.draft() as draft:
        tree = draft.tree([(b"100644", b"f", bytes.fromhex(draft.blob(b"")))])
        for _ in range(1500):
            tree = draft.tree([(b"40000", b"d", bytes.fromhex(tree))])
        draft.finish()
    assert len(repo.walk_files(tree)) == 1
    assert len(repo.tree_page(tree, recursive=True, limit=2000)) == 1501


def test_names_that_are_not_utf8_are_preserved(repo: GitRepo) -> None:
    with repo.draft() as draft:
        blob = bytes.fromhex(draft.blob(b"x"))
        tree = draft.tree([(b"100644", b"a\xff", blob)])
        draft.finish()
    entry = repo.walk_files(tree)[0]
    assert entry.path.encode("utf-8", "surrogateescape") == b"a\xff"
    assert repo.entry(tree, entry.path) == entry


def test_the_size_of_a_large_file_is_known_without_its_content(repo: GitRepo) -> None:
    with repo.draft() as draft:
        oid = draft.blob(bytes(5 << 20))
        draft.finish()
    assert repo.blob_size(oid) == 5 << 20
    with pytest.raises(errors.TooLarge):
        repo.blob(oid, max_bytes=1000)
    assert len(repo.blob(oid, max_bytes=5 << 20)) == 5 << 20


def test_the_empty_tree_needs_no_object(repo: GitRepo) -> None:
    assert repo.rows(EMPTY_TREE) == ()
    assert list(repo.walk_files(EMPTY_TREE)) == []
    assert repo.entry(EMPTY_TREE, "a") is None
    assert repo.tree_page(EMPTY_TREE) == []


@pytest.mark.parametrize("oid", ["12" * 20, "not an id", ""])
def test_an_unknown_object_is_missing_for_every_method(repo: GitRepo, oid: str) -> None:
    assert not repo.has(oid)
    questions: list[Callable[[str], Any]] = [
        repo.commit, repo.peel, repo.blob, repo.blob_size, repo.tree_of, repo.rows, repo.log,
        repo.count, repo.walk_files, lambda oid: repo.entry(oid, "a"),
        lambda oid: repo.last_commits(oid, ["a"]),
        lambda oid: repo.merge_base(oid, "34" * 20), lambda oid: repo.diff_names(None, oid),
    ]  # fmt: skip
    for ask in questions:
        with pytest.raises(ObjectMissing):
            ask(oid)


def test_an_object_of_another_kind_is_missing_too(repo: GitRepo) -> None:
    tree = tree_with(repo, {"a"})
    for ask in (repo.commit, repo.blob, repo.log, repo.count):
        with pytest.raises(ObjectMissing):
            ask(tree)
    with pytest.raises(ObjectMissing):
        repo.walk_files(oid_at(repo, tree, "a"))


# -- history ---------------------------------------------------------------------------------

PLACES = ["a", "d/a", "d/b", "d/e/f", "g"]
STEP = st.tuples(
    st.integers(0, 3),  # the distance of the first parent
    st.integers(0, 5),  # and of the second one, if that is an earlier commit
    st.dictionaries(st.sampled_from(PLACES), st.sampled_from([b"1", b"2", None]), max_size=2),
)


def a_history(repo: GitRepo, steps: list[Any]) -> Any:
    """Write commits in ascending time; merges start with the tree of their first parent."""
    commits: list[Any] = []
    with repo.draft() as draft:
        for number, (back, second, changes) in enumerate(steps):
            parents = []
            if commits:
                parents = [commits[max(0, len(commits) - 1 - back)]]
                if second and len(commits) > second and commits[-second] not in parents:
                    parents.append(commits[-second])
            tree = parents[0][1] if parents else None
            for path, content in changes.items():
                edit = RemoveEntry() if content is None else PutFile(draft.blob(content))
                try:
                    tree = edit_tree(repo, draft, tree, {path: edit})
                except errors.EntryNotFound:
                    continue
            tree = tree or draft.tree([])
            oids = [oid for oid, _ in parents]
            commit = draft.commit(tree, oids, ADA, f"step {number}", time_s=1000 + number)
            commits.append((commit, tree))
        draft.finish()
    return [commit for commit, _ in commits]


def hashes(git: Git, repo: GitRepo, *arguments: str | Path) -> Any:
    return git("--git-dir", repo.path, "log", "--format=%H", *arguments).decode().split()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, min_size=1, max_size=14))
def test_histories_with_merges_equal_git_s(
    a_repo: Callable[[], GitRepo], git: Git, steps: list[Any]
) -> None:
    repo = a_repo()
    commits = a_history(repo, steps)
    tip = commits[-1]
    order = hashes(git, repo, tip)
    assert [commit.oid for commit in repo.log(tip)] == order
    assert [commit.oid for commit in repo.log(tip, 2, 3)] == order[2:5]
    assert repo.count(tip) == len(order)
    last = repo.last_commits(tip, [*PLACES, "d", "d/e", "never"])
    for path in [*PLACES, "d", "d/e", "never"]:
        wanted = hashes(git, repo, tip, "--", path)
        assert [commit.oid for commit in repo.log(tip, path=path)] == wanted
        assert (last[path].oid if path in last else None) == (wanted[0] if wanted else None)
    for old in commits:
        assert repo.count(old) == len(hashes(git, repo, old))
    bases = git("--git-dir", repo.path, "merge-base", "--all", commits[0], tip).decode().split()
    assert repo.merge_base(commits[0], tip) in bases


def test_the_last_changes_in_a_broad_folder_come_for_all_names_at_once(
    repo: GitRepo, git: Git
) -> None:
    with repo.draft() as draft:
        tree: str | None = None
        commit: list[str] = []
        for number in range(60):
            edit = PutFile(draft.blob(b"%d" % number))
            tree = edit_tree(repo, draft, tree, {f"d/f{number % 40}": edit})
            commit = [draft.commit(tree, commit, ADA, "m", time_s=1000 + number)]
        draft.finish()
    paths = [f"d/f{number}" for number in range(40)]
    for some in (paths, paths[:2]):
        last = repo.last_commits(commit[0], some)
        for path in some:
            assert [last[path].oid] == hashes(git, repo, commit[0], "-1", "--", path)


def test_a_count_uses_earlier_counts(repo: GitRepo) -> None:
    commits = a_history(repo, [(0, 0, {})] * 30)
    assert repo.count(commits[19]) == 20
    assert repo.count(commits[29]) == 30
    assert repo.count(commits[9]) == 10


def test_a_commit_is_read_completely(repo: GitRepo) -> None:
    with repo.draft() as draft:
        tree = draft.tree([])
        oid = draft.commit(tree, ["34" * 20], ADA, "Title\n\nBody\nof it\n", time_s=77)
        draft.finish()
    commit = repo.commit(oid)
    assert (commit.oid, commit.tree, commit.parents) == (oid, tree, ("34" * 20,))
    assert (commit.author_name, commit.author_email, commit.time_s) == (ADA.name, ADA.email, 77)
    assert (commit.title, commit.body) == ("Title", "Body\nof it")


def test_a_short_id_leads_to_the_one_commit_and_no_other_object(repo: GitRepo) -> None:
    with repo.draft() as draft:
        blobs = [draft.blob(b"%d" % number) for number in range(3000)]
        commit = draft.commit(draft.tree([]), [], ADA, "m", time_s=1)
        draft.finish()
    assert repo.find_short(commit[:12]) == commit
    assert repo.find_short(blobs[0][:12]) is None
    assert repo.find_short("0" * 39) is None
    assert repo.find_short(commit[:3]) is None
    assert repo.find_short(commit) is None
    assert repo.find_short("xyzw") is None


def test_a_short_id_of_a_commit_and_a_blob_leads_to_the_commit(repo: GitRepo) -> None:
    with repo.draft() as draft:
        commit = draft.commit(draft.tree([]), [], ADA, "m", time_s=1)
        number = 0
        while not draft.blob(b"%d" % number).startswith(commit[:4]):
            number += 1
        draft.finish()
    assert repo.find_short(commit[:4]) == commit


def test_a_short_id_of_two_commits_is_ambiguous(repo: GitRepo) -> None:
    with repo.draft() as draft:
        tree = draft.tree([])
        seen, number = {}, 0
        while (commit := draft.commit(tree, [], ADA, "m", time_s=number))[:4] not in seen:
            seen[commit[:4]] = commit
            number += 1
        draft.finish()
    assert repo.find_short(commit[:4]) is None
    assert repo.find_short(commit[:16]) == commit


def test_a_diff_equals_git_s_and_can_be_truncated(repo: GitRepo) -> None:
    old, new = tree_with(repo, {"a", "b"}), tree_with(repo, {"a", "c"})
    text = b"".join(repo.diff_text(old, new))
    assert b"rename" not in text.splitlines()[0]
    assert b"+++ b/c" in text
    assert b"--- a/b" in text
    assert b"a/a" not in text
    assert len(b"".join(repo.diff_text(old, new, max_bytes=10))) == 10
    assert b"+++ b/a" in b"".join(repo.diff_text(None, new, paths=["a"]))
    assert b"".join(repo.diff_text(new, new)) == b""
