"""Structured differences say what git's diff says, and stay within their limits."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead.gitstore import (
    DiffLimits,
    FileDiff,
    GitRepo,
    PutFile,
    diff_commits,
    edit_tree,
    parse_pointer,
)
from tests.gitstore.conftest import Git

SLOW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
LINES = st.lists(st.sampled_from(["a", "b c", "@@ -1 +1 @@", "-- x", "++", "\\ No", "é", ""]))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"


def tree_of(repo: GitRepo, files: dict[str, bytes]) -> str:
    with repo.draft() as draft:
        edits = {path: PutFile(draft.blob(data)) for path, data in files.items()}
        tree = edit_tree(repo, draft, draft.tree([]), edits)
        draft.finish()
    return tree


def only(repo: GitRepo, old: str | None, new: str | None, limits: DiffLimits) -> FileDiff:
    (file,) = diff_commits(repo, old, new, limits=limits).files
    return file


def applied(old: list[str], file: FileDiff) -> list[str]:
    """Return the new lines that the hunks make of the old ones."""
    lines: list[str] = []
    at = 0
    for hunk in file.hunks:
        start = hunk.old_start - (hunk.old_lines > 0)
        lines += old[at:start]
        at = start
        for line in hunk.lines:
            if line.sign != "+":
                assert (old[at], at + 1) == (line.text, line.old)
                at += 1
            if line.sign != "-":
                lines.append(line.text)
                assert len(lines) == line.new
    return lines + old[at:]


@SLOW
@given(LINES, LINES, st.booleans())
def test_the_hunks_turn_the_old_text_into_the_new(
    a_repo: Callable[[], GitRepo], old: list[str], new: list[str], newline: bool
) -> None:
    repo = a_repo()
    texts = ["\n".join(lines) + ("\n" if newline and lines else "") for lines in (old, new)]
    trees = [tree_of(repo, {"f": text.encode(), "same": b"same"}) for text in texts]
    diff = diff_commits(repo, trees[0], trees[1])
    assert diff.total_files == len(diff.files) == (texts[0] != texts[1])
    for file in diff.files:
        before, after = (text.removesuffix("\n").split("\n") if text else [] for text in texts)
        assert applied(before, file) == after
        lines = [line for hunk in file.hunks for line in hunk.lines]
        assert file.added == diff.added == sum(line.sign == "+" for line in lines)
        assert file.removed == diff.removed == sum(line.sign == "-" for line in lines)
        assert not file.cut


def test_files_are_added_removed_changed_and_renamed_and_modes_change(repo: GitRepo) -> None:
    old = tree_of(repo, {"gone": b"1\n", "moved": b"2\n", "edit": b"3\n", "run": b"4\n"})
    new = tree_of(repo, {"d/moved": b"2\n", "edit": b"30\n", "new": b"5"})
    with repo.draft() as draft:
        new = edit_tree(repo, draft, new, {"run": PutFile(draft.blob(b"4\n"), 0o100755)})
        draft.finish()
    files = diff_commits(repo, old, new).files
    assert [(file.path, file.status, file.added, file.removed) for file in files] == [
        ("d/moved", "renamed", 0, 0),
        ("edit", "changed", 1, 1),
        ("gone", "removed", 0, 1),
        ("new", "added", 1, 0),
        ("run", "changed", 0, 0),
    ]
    assert files[0].old is not None
    assert files[0].old.path == "moved"
    assert files[4].old is not None
    assert files[4].new is not None
    assert (files[4].old.mode, files[4].new.mode) == (0o100644, 0o100755)
    assert files[3].hunks[0].lines[-1].no_newline
    assert [file.path for file in diff_commits(repo, old, new, path="gone").files] == ["gone"]
    assert [file.path for file in diff_commits(repo, old, new, skip=3).files] == ["new", "run"]
    assert diff_commits(repo, old, None).removed == 4
    assert diff_commits(repo, None, old).added == 4


def test_words_that_differ_are_marked(repo: GitRepo) -> None:
    old = tree_of(repo, {"f": b"| rare vessels | 31.7 |\nsame\n"})
    new = tree_of(repo, {"f": b"| rare vessels | 24.9 |\nsame\n"})
    removed, added, _ = diff_commits(repo, old, new).files[0].hunks[0].lines
    for line, number in ((removed, "31.7"), (added, "24.9")):
        assert line.text[slice(*line.marks[0])] == number


def test_what_is_no_text_or_too_long_says_why(repo: GitRepo) -> None:
    limits = DiffLimits(file_bytes=1000, bytes=1500)
    lfs = POINTER % (b"ab" * 32, 5_000_000)
    assert parse_pointer(lfs) is not None
    old = tree_of(repo, {"a": b"x\n" * 400, "b.bin": b"\0\1", "lfs": b"plain"})
    new = tree_of(repo, {"a": b"y\n" * 400, "b.bin": b"\0\2", "lfs": lfs, "long": b"z" * 1001})
    with repo.draft() as draft:
        new = edit_tree(repo, draft, new, {"a": PutFile(draft.blob(b"target"), 0o120000)})
        draft.finish()
    files = {file.path: file for file in diff_commits(repo, old, new, limits=limits).files}
    assert {path: file.withheld for path, file in files.items()} == {
        "a": None,
        "b.bin": "binary",
        "lfs": "lfs",
        "long": "long",
    }
    assert (files["a"].added, files["a"].removed) == (1, 400)
    assert files["lfs"].new is not None
    assert files["lfs"].new.size == 5_000_000
    full = diff_commits(repo, old, new, limits=DiffLimits(bytes=10)).files
    assert [file.withheld for file in full] == ["full", "binary", "lfs", "full"]


def test_files_and_lines_beyond_the_limits_are_counted_only(repo: GitRepo) -> None:
    new = tree_of(repo, {f"f{number}": b"line\n" * 20 for number in range(4)})
    diff = diff_commits(repo, None, new, limits=DiffLimits(files=3, lines=25, file_lines=15))
    assert (diff.total_files, len(diff.files), diff.added) == (4, 3, 60)
    shown = [sum(len(hunk.lines) for hunk in file.hunks) for file in diff.files]
    assert shown == [15, 10, 0]
    assert all(file.cut for file in diff.files)


def test_odd_paths_and_attributes_do_not_change_what_is_compared(repo: GitRepo, git: Git) -> None:
    odd = 'a"b\\c\n\udcff*é'
    files = {odd: b"1\n", ".gitattributes": b"* -diff\n* diff=lfs\n", "[a]": b"1\n"}
    old = tree_of(repo, files)
    new = tree_of(repo, dict.fromkeys(files, b"2\n"))
    diff = diff_commits(repo, old, new)
    assert {file.path for file in diff.files} == set(files)
    assert all(len(file.hunks) == 1 and not file.withheld for file in diff.files)
    assert git("--git-dir", repo.path, "fsck", "--no-dangling") == b""
