"""LFS pointers are read and written as git-lfs does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.gitstore import Pointer, parse_pointer

POINTERS = st.builds(
    lambda oid, size: Pointer(oid.hex(), size),
    st.binary(min_size=32, max_size=32),
    st.integers(0, (1 << 63) - 1),
)
GOOD = Pointer("ab" * 32, 12345).format()


@given(POINTERS)
def test_a_written_pointer_is_read_back(pointer: Pointer) -> None:
    assert parse_pointer(pointer.format()) == pointer


@given(POINTERS, st.data())
def test_surrounding_space_and_line_ends_do_not_matter(
    pointer: Pointer, data: st.DataObject
) -> None:
    space = st.text("\n\r\t\v\f \x85\xa0\u1680\u2003\u2028\u3000", max_size=20)
    ends = st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\n"]), min_size=3, max_size=3)
    lines = pointer.format().splitlines()
    text = b"".join(map(bytes.__add__, lines, data.draw(ends)))
    text = data.draw(space).encode() + text + data.draw(space).encode()
    assert parse_pointer(text) == pointer


@given(st.binary(max_size=2000))
def test_any_bytes_are_parsed_without_a_fault(data: bytes) -> None:
    parse_pointer(data)


def test_a_written_pointer_has_the_form_of_the_specification() -> None:
    assert GOOD == (
        b"version https://git-lfs.github.com/spec/v1\n"
        b"oid sha256:abababababababababababababababababababababababababababababababab\n"
        b"size 12345\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        GOOD.upper(),
        GOOD + b"x 1\n",
        GOOD.replace(b"size 12345", b"size -1"),
        GOOD.replace(b"size 12345", b"size 9223372036854775808"),
        GOOD.replace(b"size 12345", "size ١٢".encode()),
        GOOD.replace(b"sha256:ab", b"sha256:"),
        GOOD.replace(b"sha256", b"sha1"),
        GOOD.replace(b"v1", b"v2"),
        GOOD + b" " * 1024,
        GOOD.replace(b"\n", b"\r\r\n"),
        GOOD.replace(
            b"oid", b"ext-0-a sha256:%b\next-0-b sha256:%b\noid" % (b"cd" * 32, b"ef" * 32)
        ),
        GOOD + b"ext-0-a sha256:%b\n" % (b"cd" * 32),
    ],
)
def test_an_almost_valid_pointer_is_none(text: bytes) -> None:
    assert parse_pointer(text) is None


EXTENSION = b"ext-0-foo sha256:" + b"cd" * 32 + b"\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.rstrip(b"\n"),
        GOOD.replace(b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1"),
        GOOD.replace(b"https://git-lfs.github.com/spec/v1", b"http://git-media.io/v/2"),
        GOOD.replace(b"oid", EXTENSION + b"oid"),
        GOOD.replace(b"size", EXTENSION * 2 + b"size"),
        EXTENSION + GOOD,
        GOOD.replace(b"12345", b"+12345"),
        GOOD.replace(b"12345", b"0012345"),
        GOOD.ljust(1023, b"\n"),
    ],
)
def test_other_forms_that_git_lfs_accepts_are_pointers(text: bytes) -> None:
    assert parse_pointer(text) == Pointer("ab" * 32, 12345)
