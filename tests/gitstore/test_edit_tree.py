"""An edited tree equals the tree of git's index after the same edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead import errors
from hubstead.gitstore import GitRepo, PutFile, PutTree, RemoveEntry, edit_tree
from hubstead.ids import EMPTY_TREE
from tests.gitstore.conftest import Git

from .conftest import ADA

NAMES = st.sampled_from(["a", "a.b", "a-b", "b", "c0", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
EDITS = st.dictionaries(
    PATHS,
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from([b"x", b"y", b""])),
        st.tuples(st.just("put"), st.sampled_from([b"z"])),
        st.just(("remove", b"")),
    ),
    max_size=6,
)


def oid_at(repo: GitRepo, tree: str, path: str) -> str:
    entry = repo.entry(tree, path)
    assert entry is not None
    return entry.oid


class Model:
    """Files by path, as in git's index; raises the errors of the editor."""

    def __init__(self) -> None:
        self.files: dict[str, PutFile] = {}

    def is_folder(self, path: str) -> Any:
        return any(other.startswith(f"{path}/") for other in self.files)

    def apply(self, path: str, edit: Any) -> None:
        if isinstance(edit, RemoveEntry):
            removed = [
                other for other in self.files if other == path or other.startswith(f"{path}/")
            ]
            if not removed:
                raise errors.EntryNotFound()
            for other in removed:
                del self.files[other]
            return
        parts = path.split("/")
        if self.is_folder(path) or any(
            "/".join(parts[:i]) in self.files for i in range(1, len(parts))
        ):
            raise errors.InvalidInput(reason="in the way")
        self.files[path] = edit


def tree_by_git(git: Git, repo: GitRepo, files: dict[str, PutFile], tmp_path: Path) -> Any:
    index = tmp_path / "index"
    lines = [f"{edit.mode or 0o100644:o} {edit.oid}\t{path}\0" for path, edit in files.items()]
    git(
        "--git-dir", repo.path, "update-index", "-z", "--index-info",
        stdin="".join(lines).encode(), index=index,
    )  # fmt: skip
    return git("--git-dir", repo.path, "write-tree", "--missing-ok", index=index).decode().strip()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(EDITS, st.booleans()), min_size=1, max_size=5))
def test_the_result_equals_the_tree_of_git_s_index(
    a_repo: Callable[[], GitRepo], git: Git, tmp_path_factory: pytest.TempPathFactory, rounds: Any
) -> None:
    repo, model, base = a_repo(), Model(), None
    draft = repo.draft()
    for wanted, finish in rounds:
        edits = {
            path: PutFile(draft.blob(content)) if verb == "put" else RemoveEntry()
            for path, (verb, content) in wanted.items()
        }
        before = dict(model.files)
        expected = None
        try:
            for path, edit in edits.items():
                model.apply(path, edit)
        except errors.HubError as fault:
            model.files, expected = before, type(fault)
        if expected:
            with pytest.raises(expected):
                edit_tree(repo, draft, base, edits)
            continue
        base = edit_tree(repo, draft, base, edits)
        if finish:
            draft.commit(base, [], ADA, "round", time_s=1)
            draft.finish()
            draft = repo.draft()
    with draft:
        commit = draft.commit(base or draft.tree([]), [], ADA, "end", time_s=1)
        draft.finish()
    assert (base or EMPTY_TREE) == tree_by_git(git, repo, model.files, tmp_path_factory.mktemp("i"))
    git("--git-dir", repo.path, "fsck", "--strict", "--full", commit)


@pytest.fixture
def draft(repo: GitRepo) -> Iterator[Any]:
    with repo.draft() as draft:
        yield draft


def put(draft: Any, content: bytes = b"x") -> Any:
    return PutFile(draft.blob(content))


def test_a_removal_of_the_last_file_writes_the_empty_tree(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"a/b/c": put(draft)})
    assert edit_tree(repo, draft, tree, {"a/b/c": RemoveEntry()}) == EMPTY_TREE
    assert draft.contains(EMPTY_TREE)
    assert edit_tree(repo, draft, None, {}) == EMPTY_TREE


def test_an_emptied_folder_can_be_replaced_by_a_file(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"a/b/c": put(draft), "d": put(draft)})
    tree = edit_tree(repo, draft, tree, {"a/b/c": RemoveEntry(), "a": put(draft, b"y")})
    assert tree == edit_tree(repo, draft, None, {"a": put(draft, b"y"), "d": put(draft)})


def test_edits_are_applied_in_their_order(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"a": put(draft)})
    with pytest.raises(errors.InvalidInput, match="a is a file"):
        edit_tree(repo, draft, tree, {"a/b": put(draft), "a": RemoveEntry()})
    assert edit_tree(repo, draft, tree, {"a": RemoveEntry(), "a/b": put(draft)}) != tree


def test_one_path_may_be_edited_twice(repo: GitRepo, draft: Any) -> None:
    edits = [
        ("a", put(draft)),
        ("a", RemoveEntry()),
        ("a/b", put(draft)),
        ("a/b", put(draft, b"y")),
    ]
    tree = edit_tree(repo, draft, None, edits)
    assert tree == edit_tree(repo, draft, None, {"a/b": put(draft, b"y")})


def test_the_error_names_the_conflicting_path(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"a/b": put(draft), "f": put(draft)})
    with pytest.raises(errors.InvalidInput, match="a is a folder"):
        edit_tree(repo, draft, tree, {"a": put(draft)})
    with pytest.raises(errors.InvalidInput, match="f is a file: f/x/y cannot"):
        edit_tree(repo, draft, tree, {"f/x/y": put(draft)})
    with pytest.raises(errors.InvalidInput, match="f is a file"):
        edit_tree(repo, draft, tree, {"f": PutTree(tree)})


@pytest.mark.parametrize("path", ["no", "a/no", "a/b/c", "no/b"])
def test_a_missing_path_cannot_be_removed(repo: GitRepo, draft: Any, path: str) -> None:
    tree = edit_tree(repo, draft, None, {"a/b": put(draft)})
    with pytest.raises(errors.EntryNotFound, match="A file with this name doesn't exist"):
        edit_tree(repo, draft, tree, {path: RemoveEntry()})


def test_a_whole_folder_is_copied_by_its_id(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"a/b": put(draft), "a/c/d": put(draft, b"y")})
    draft.finish()
    folder = oid_at(repo, tree, "a")
    with repo.draft() as second:
        copied = edit_tree(repo, second, tree, {"x/y": PutTree(folder), "x/y/b": put(second, b"z")})
        assert len(second) == 4  # one blob, and the trees of x/y, x and the root
        second.finish()
    assert [entry.path for entry in repo.walk_files(copied)] == ["a/b", "a/c/d", "x/y/b", "x/y/c/d"]
    assert repo.blob(oid_at(repo, copied, "x/y/b")) == b"z"
    assert repo.blob(oid_at(repo, copied, "a/b")) == b"x"


def test_an_edit_without_a_change_writes_nothing(repo: GitRepo) -> None:
    with repo.draft() as draft:
        edit = put(draft)
        tree = edit_tree(repo, draft, None, {"a/b": edit, "c": edit})
        draft.finish()
    with repo.draft() as second:
        assert edit_tree(repo, second, tree, {"a/b": edit}) == tree
        assert (
            edit_tree(
                repo, second, tree, {"c": RemoveEntry(), "a/n": edit, "a": RemoveEntry()} | {}
            )
            != tree
        )
        assert len(second) == 1


def test_only_the_parent_folders_are_written(repo: GitRepo) -> None:
    with repo.draft() as draft:
        edits = {f"d{i}/e{j}/f": put(draft) for i in range(3) for j in range(3)}
        tree = edit_tree(repo, draft, None, edits)
        draft.finish()
    with repo.draft() as second:
        edit_tree(repo, second, tree, {"d1/e1/f": put(second, b"new")})
        assert len(second) == 4


def test_an_object_of_another_pack_is_written_again(repo: GitRepo) -> None:
    with repo.draft() as unregistered:
        edit_tree(repo, unregistered, None, {"a/b": put(unregistered)})
        unregistered.finish()
    with repo.draft() as draft:
        tree = edit_tree(repo, draft, None, {"a/b": put(draft)})
        assert draft.contains(tree)
        assert len(draft) == 3


@pytest.mark.parametrize(
    ("path", "difference"),
    [
        ("readme.MD", "case"),
        ("DATA/x", "case"),
        ("data/A", "case"),
        ("caf\u00e9", "the Unicode form of its characters"),
        ("CAF\u00c9", "case"),
    ],
)
def test_a_new_name_that_clashes_is_refused_with_the_true_reason_or_accepted(
    repo: GitRepo, draft: Any, path: str, difference: str
) -> None:
    base = {"README.md": put(draft), "data/a": put(draft), "cafe\u0301": put(draft)}
    tree = edit_tree(repo, draft, None, base)
    with pytest.raises(errors.InvalidPath, match=f"differs only in {difference}:"):
        edit_tree(repo, draft, tree, {path: put(draft)}, refuse_case_clashes=True)
    edit_tree(repo, draft, tree, {path: put(draft)})


def test_an_existing_clash_refuses_no_edit(repo: GitRepo, draft: Any) -> None:
    both = {"a": put(draft), "A": put(draft)}
    tree = edit_tree(repo, draft, None, both)
    later = {"b": put(draft), "a": put(draft, b"new")}
    edit_tree(repo, draft, tree, later, refuse_case_clashes=True)


def test_a_rename_in_case_is_possible_in_either_order(repo: GitRepo, draft: Any) -> None:
    tree = edit_tree(repo, draft, None, {"README.md": put(draft)})
    edits = {"readme.md": put(draft), "README.md": RemoveEntry()}
    other = dict(reversed(edits.items()))
    assert edit_tree(repo, draft, tree, edits, refuse_case_clashes=True) == edit_tree(
        repo, draft, tree, other, refuse_case_clashes=True
    )


def test_a_folder_has_a_limit_of_entries(repo: GitRepo, draft: Any) -> None:
    full = {f"d/{i}": put(draft) for i in range(5)}
    tree = edit_tree(repo, draft, None, full, max_entries=5)
    with pytest.raises(errors.TooLarge, match="the folder d is larger than the limit of 5 entries"):
        edit_tree(repo, draft, tree, {"d/new": put(draft)}, max_entries=5)
    edit_tree(repo, draft, tree, {"d/0": put(draft, b"y"), "d/1": RemoveEntry()}, max_entries=3)


def test_modes_are_written_as_requested(repo: GitRepo, draft: Any) -> None:
    blob = draft.blob(b"target")
    edits = {"link": PutFile(blob, 0o120000), "run": PutFile(blob, 0o100755), "f": PutFile(blob)}
    tree = edit_tree(repo, draft, None, edits)
    draft.finish()
    modes = {entry.path: (entry.type, entry.mode) for entry in repo.walk_files(tree)}
    assert modes == {
        "f": ("blob", 0o100644), "link": ("link", 0o120000), "run": ("blob", 0o100755),
    }  # fmt: skip
