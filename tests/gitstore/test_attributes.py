"""Attributes and ignore rules agree with git's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubstead.gitstore import GITATTRIBUTES, Attributes, Ignores
from hubstead.gitstore.patterns import compile_pattern
from hubstead.ids import GIT_KINDS, Kind

from .conftest import run_git

PIECES = st.sampled_from(
    ["a", "b", "c", "ab", "*", "**", "***", "*.b", "a.b", "?", "/", "/**/", "**/", "/**", "[ab]",
     "[!a]", "[^b]",
     "[a-c]", "[]a]", "[a", "[[:alpha:]]", "[[:nope:]]", "[a-", "[\\]a]", "[-a]", "[b-a]", ".",
     "\\a", "\\*", "\\", "*.", "é", " ", "#", "!", "saved_model/**/*", "*tfevents*"]
)  # fmt: skip
PATTERNS = st.lists(PIECES, min_size=1, max_size=5).map("".join)
PART = st.sampled_from(["a", "b", "c", "ab", "a.b", "abc", "é", "saved_model", "*", "-", "]", "a["])
PATHS = st.lists(PART, min_size=1, max_size=4).map("/".join)
WORDS = st.sampled_from(
    ["filter=lfs", "-filter", "!filter", "filter", "filter=other", "lfs", "-lfs", "binary", "-text",
     "text", "bad/name", "-bad=value", "diff=lfs", "merge"]
)  # fmt: skip
LINE = st.one_of(
    st.builds(lambda pattern, words: f"{pattern} {' '.join(words)}", PATTERNS, st.lists(WORDS)),
    st.builds(
        lambda pattern: f'"{pattern}" filter=lfs', st.sampled_from(["a b", "a*", "\\303\\251"])
    ),
    st.sampled_from(
        ["[attr]lfs filter=lfs -text", "[attr]lfs -filter", "# note", "", "[attr]", "a\\"]
    ),
)
TEXT = st.lists(LINE, max_size=6).map(lambda lines: "\n".join(lines).encode())
MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A work tree with folders for nested files."""
    path = tmp_path_factory.mktemp("work")
    run_git("init", "-q", path)
    for name in ("a", "a/b"):
        (path / name).mkdir()
    return path


def write_files(folder: Path, name: str, texts: dict[str, bytes]) -> None:
    for where in ("", "a", "a/b"):
        file = folder / where / name
        file.unlink(missing_ok=True)
        if where in texts:
            file.write_bytes(texts[where])


def attributes_by_git(folder: Path, paths: list[str]) -> Any:
    names = ["filter", "text", "diff", "merge"]
    stdin = "\0".join(paths).encode() + b"\0"
    output = run_git("-C", folder, "check-attr", "-z", "--stdin", *names, stdin=stdin)
    words = output.decode().split("\0")
    spelled = {"set": True, "unset": False}
    values: dict[str, dict[str, Any]] = {path: {} for path in paths}
    for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=False):
        if value != "unspecified":
            values[path][name] = spelled.get(value, value)
    return values


@MANY
@example({"": b"a**/b filter=lfs\n"}, ["a/b", "axx/y/b", "ab"])
@given(
    st.dictionaries(st.sampled_from(["", "a", "a/b"]), TEXT, max_size=3),
    st.lists(PATHS, min_size=1, max_size=8),
)
def test_attributes_equal_those_of_git_check_attr(
    folder: Path, texts: dict[str, bytes], paths: list[str]
) -> None:
    write_files(folder, ".gitattributes", texts)
    ours = Attributes(texts)
    names = {"filter", "text", "diff", "merge"}
    for path, wanted in attributes_by_git(folder, paths).items():
        actual = ours.of(path)
        assert {name: actual[name] for name in actual.keys() & names} == wanted, path
        assert ours.is_lfs(path) == (wanted.get("filter") == "lfs")


IGNORE = st.one_of(
    PATTERNS,
    PATTERNS.map("!{}".format),
    PATTERNS.map("{}/".format),
    PATTERNS.map("/{}".format),
    st.sampled_from(["a  ", "a\\ ", "# a", "\\#a", "\\!a", "", "b\r", "*", "!*/", "a/", "!a/b/c"]),
)
IGNORES = st.lists(IGNORE, max_size=6).map(lambda lines: ("\n".join(lines) + "\n").encode())


@MANY
@given(
    st.dictionaries(st.sampled_from(["", "a", "a/b"]), IGNORES, max_size=3),
    st.lists(PATHS, min_size=1, max_size=8),
)
def test_ignored_files_equal_those_of_git_check_ignore(
    folder: Path, texts: dict[str, bytes], paths: list[str]
) -> None:
    write_files(folder, ".gitattributes", {})
    write_files(folder, ".gitignore", texts)
    paths = [path for path in paths if path not in ("a", "a/b")]  # these are folders there
    result = subprocess.run(
        ["git", "-C", str(folder), "check-ignore", "-z", "--stdin", "--no-index"],
        input="\0".join(paths).encode() + b"\0" if paths else b"",
        capture_output=True,
        check=False,
    )
    assert result.returncode in (0, 1), result.stderr
    wanted = set(result.stdout.decode().split("\0")) - {""}
    write_files(folder, ".gitignore", {})
    ours = Ignores(texts)
    assert {path for path in paths if ours.ignores(path)} == wanted


@pytest.mark.parametrize("kind", GIT_KINDS)
@pytest.mark.parametrize(
    ("path", "lfs"),
    [
        ("model.safetensors", True),
        ("deep/er/pytorch_model.bin", True),
        ("saved_model/variables/x", True),
        ("runs/events.out.tfevents.123", True),
        ("data.tar.gz", True),
        ("model.lfs.1", True),
        ("config.json", False),
        ("README.md", False),
        ("binary", False),
    ],
)
def test_a_new_repository_stores_weights_in_lfs_and_text_in_git(
    kind: Kind, path: str, lfs: bool
) -> None:
    assert Attributes({"": GITATTRIBUTES[kind].encode()}).is_lfs(path) is lfs


@pytest.mark.parametrize("path", ["a.wav", "a.png", "a.jpg", "a.mp4", "a.lz4"])
def test_media_are_in_lfs_for_datasets_only(path: str) -> None:
    def is_lfs(kind: Kind) -> Any:
        return Attributes({"": GITATTRIBUTES[kind].encode()}).is_lfs(path)

    assert is_lfs(Kind.DATASET)
    assert not is_lfs(Kind.MODEL)


def test_lines_of_single_files_and_suffixes_are_looked_up_and_not_tried() -> None:
    lines = [f"data/file-{n}.bin filter=lfs" for n in range(3000)]
    lines += ["*.tar.gz filter=lfs", "*.gz -filter", "name filter=lfs", "*a*b filter=lfs"]
    attributes = Attributes({"": "\n".join(lines).encode()})
    assert attributes.wildcards == 1
    for path, expected in {
        "data/file-7.bin": True,
        "other/file-7.bin": False,
        "x.tar.gz": False,
        "deep/name": True,
        "deep/a.b": True,
    }.items():
        assert attributes.is_lfs(path) is expected, path


def test_nested_macros_are_expanded_to_any_depth() -> None:
    chain = "".join(f"[attr]m{i} m{i + 1}\n" for i in range(3000))
    text = f"{chain}[attr]m3000 filter=lfs\n* m0\n"
    assert Attributes({"": text.encode()}).is_lfs("any")


@pytest.mark.parametrize(
    "text", ["*a" * 60 + "b", "/" + "*a" * 60 + "b", "**/a/" * 60 + "b", "/**/*a*a" * 30 + "b"]
)
def test_a_pattern_full_of_stars_is_matched_quickly(text: str) -> None:
    assert not compile_pattern(text.encode()).matches(b"a" * 200)
    assert not compile_pattern(text.encode()).matches(b"/".join([b"a"] * 64) + b"/a" * 100)
