"""The hub accepts the same pointers as the program git-lfs, and no others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from hubstead.gitstore import is_padded_pointer, parse_pointer

pytestmark = pytest.mark.skipif(
    shutil.which("git-lfs") is None, reason="git-lfs is not installed (apt-get install git-lfs)"
)
EXAMPLES = int(os.environ.get("HUBSTEAD_TEST_EXAMPLES", "300"))
CANONICAL = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]+\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>[0-9]+)\n"
)


def packet(data: bytes) -> bytes:
    return b"%04x%b" % (len(data) + 4, data)


class SmudgeFilter:
    """The filter process of a checkout; it leaves canonical pointers unchanged."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["git", "init", "-q", folder], check=True)
        self.process = subprocess.Popen(
            ["git-lfs", "filter-process", "--skip"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._send(b"git-filter-client\n", b"version=2\n")
        assert self._list() == [b"git-filter-server\n", b"version=2\n"]
        self._send(b"capability=clean\n", b"capability=smudge\n")
        assert b"capability=smudge\n" in self._list()

    def _send(self, *packets: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(packet, packets)) + b"0000")
        self.process.stdin.flush()

    def _list(self) -> list[bytes]:
        assert self.process.stdout is not None
        packets = []
        while size := int(self.process.stdout.read(4), 16):
            packets.append(self.process.stdout.read(size - 4))
        return packets

    def __call__(self, content: bytes) -> bytes:
        """Return the output of a checkout for ``content``."""
        self._send(b"command=smudge\n", b"pathname=file\n")
        self._send(content)
        assert self._list() == [b"status=success\n"]
        smudged = b"".join(self._list())
        self._list()
        return smudged

    def pointer(self, content: bytes) -> tuple[str | None, int] | None:
        """Return the oid (None if the size is 0, which fetches nothing) and size, or None."""
        smudged = self(content)
        if smudged == content:  # no pointer, or one in canonical form, which the callers avoid
            smudged = self(b"\n" + content)
            if smudged == b"\n" + content:
                return None
        if not smudged:
            return None, 0
        match = CANONICAL.fullmatch(smudged)
        assert match is not None, smudged
        return match["oid"].decode(), int(match["size"])


@pytest.fixture(scope="module")
def git_lfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmudgeFilter]:
    judge = SmudgeFilter(tmp_path_factory.mktemp("filter"))
    yield judge
    assert judge.process.stdin is not None
    judge.process.stdin.close()
    judge.process.wait(timeout=30)


OIDS = st.one_of(
    st.sampled_from(["ab" * 32, "0" * 64]),
    st.sampled_from(["AB" * 32, "ab" * 31, "ab" * 33, "g" * 64, "ab" * 32 + " ", ""]),
)
HASHES = st.one_of(
    st.just("sha256:"), st.sampled_from(["sha256:", "sha1:", "SHA256:", "", "sha256"])
)
VERSIONS = st.sampled_from(
    [
        "https://git-lfs.github.com/spec/v1",
        "https://hawser.github.com/spec/v1",
        "http://git-media.io/v/2",
        "http://git-media.io/v/1",
        "https://git-lfs.github.com/spec/v2",
        "http://git-lfs.github.com/spec/v1",
        "",
    ]
)
SIZES = st.one_of(
    st.integers(0, 1 << 64).map(str),
    st.from_regex(r"[+-]?0{0,3}[0-9_]{0,4}[ .x]?", fullmatch=True),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "٣", "0x10", "1e3"]),
)
EXTENSIONS = st.builds(
    lambda priority, name, kind, oid: f"ext-{priority}-{name} {kind}{oid}",
    st.sampled_from(["0", "1", "9", "10", "", "-1", "٣"]),
    st.sampled_from(["foo", "bar", "_", "a-b.c!", "é", "", "fo\ro"]),
    HASHES,
    OIDS,
)
SPACES = st.text(
    "\n\r\t\v\f \0\x1c\x1f\x85\xa0\u1680\u180e\u2003\u200b\u2028\u2029\u202f\u3000\ufeff"
)
LINE_ENDS = st.sampled_from(
    ["\n", "\n", "\n", "\r\n", "\n\n", "\r\n\r\n", "\r", "\r\r\n", " \n", "\n \n"]
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Return the text of a pointer with a few changes, most often small ones."""

    def odd(usual: str, strategy: st.SearchStrategy[str]) -> str:
        return draw(strategy) if draw(st.integers(0, 3)) == 0 else usual

    lines = [
        "version " + odd("https://git-lfs.github.com/spec/v1", VERSIONS),
        "oid " + odd("sha256:", HASHES) + odd("ab" * 32, OIDS),
        "size " + odd("12345", SIZES),
    ]
    for extension in draw(st.lists(EXTENSIONS, max_size=3)):
        lines.insert(draw(st.integers(0, len(lines))), extension)
    if draw(st.integers(0, 9)) == 0:
        lines = draw(st.permutations(lines))
    if draw(st.integers(0, 9)) == 0:
        lines.insert(
            draw(st.integers(0, len(lines))), draw(st.sampled_from(["x 1", "size", "oid  "]))
        )
    text = odd("", SPACES) + "".join(line + odd("\n", LINE_ENDS) for line in lines)
    return (text.rstrip("\n") if draw(st.booleans()) else text).encode() + odd("", SPACES).encode()


def check_same(git_lfs: SmudgeFilter, text: bytes) -> None:
    expected, actual = git_lfs.pointer(text), parse_pointer(text)
    if expected is None or actual is None:
        assert (expected, actual) == (None, None), text
        return
    oid, size = expected
    assert (oid or actual.oid, size) == (actual.oid, actual.size), text


@given(text=texts())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_odd_pointers_are_parsed_as_git_lfs_does(git_lfs: SmudgeFilter, text: bytes) -> None:
    assume(len(text) < 1023)
    check_same(git_lfs, text)


GOOD = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 5\n" % (b"ab" * 32)


@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.booleans())
@example(place=len(GOOD) - 2, byte=0x85, cut=False)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_changed_byte_is_parsed_as_git_lfs_does(
    git_lfs: SmudgeFilter, place: int, byte: int, cut: bool
) -> None:
    check_same(git_lfs, GOOD[:place] + bytes([byte]) * (not cut) + GOOD[place + 1 :])


def smudged(content: bytes, folder: Path) -> bytes:
    """Return the output of a checkout; the filter process fails on unread input."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    command = ["git-lfs", "smudge", "--skip", "--", "file"]
    result = subprocess.run(command, cwd=folder, input=content, capture_output=True, check=True)
    return result.stdout


@pytest.mark.parametrize("length", [1023, 1024, 1025, 4096, 40_000])
@pytest.mark.parametrize("rest", [b"\n", b"words"])
def test_git_lfs_replaces_a_long_text_whose_read_part_is_a_pointer(
    tmp_path: Path, length: int, rest: bytes
) -> None:
    text = (GOOD.ljust(1024, b"\n") + rest * length)[:length]
    assert smudged(text, tmp_path) == GOOD
    assert (parse_pointer(text) is not None) == (length < 1024)
    assert is_padded_pointer(text) == (length >= 1024)


def test_a_long_text_with_words_in_its_first_1024_bytes_is_a_plain_file(
    tmp_path: Path,
) -> None:
    text = GOOD.ljust(1023, b"\n") + b"words"
    assert smudged(text, tmp_path) == text
    assert not is_padded_pointer(text)
    assert parse_pointer(text) is None
