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
def test_what_is_written_is_read_back(pointer):
    assert parse_pointer(pointer.format()) == pointer


@given(POINTERS, st.data())
def test_a_changed_byte_never_yields_a_pointer_that_reads_otherwise(pointer, data):
    text = bytearray(pointer.format())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    found = parse_pointer(bytes(text))
    assert found is None or found.format() == bytes(text)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_a_fault(data):
    parse_pointer(data)


def test_the_form_is_that_of_the_specification():
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
        GOOD + b"\n",
        GOOD + b"x 1\n",
        b"\n" + GOOD,
        GOOD.replace(b"size 12345", b"size 012345"),
        GOOD.replace(b"size 12345", b"size -1"),
        GOOD.replace(b"size 12345", b"size 9223372036854775808"),
        GOOD.replace(b"size 12345", "size ١٢".encode()),
        GOOD.replace(b"sha256:ab", b"sha256:"),
        GOOD.replace(b"sha256", b"sha1"),
        GOOD.replace(b"v1", b"v2"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD + b" " * 1024,
    ],
)
def test_what_is_nearly_a_pointer_is_none(text):
    assert parse_pointer(text) is None


def test_git_lfs_leniencies_are_kept():
    assert parse_pointer(GOOD.rstrip(b"\n")) == Pointer("ab" * 32, 12345)
    extended = GOOD.replace(b"oid", b"ext-0-foo sha256:" + b"cd" * 32 + b"\noid", 1)
    assert parse_pointer(extended) == Pointer("ab" * 32, 12345)
