"""Files are chunked where every client of today chunks them."""

from __future__ import annotations

import hashlib
import itertools
import random
import struct
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubstead.xet import (
    Chunker,
    can_compile,
    chunk_hash,
    chunk_lengths,
    file_hash,
    iterate_chunks,
    to_text,
)
from hubstead.xet.gear_table import TABLE
from tests.xet.vectors import VECTORS
from tests.xet.wire_xorbs import stream

pytestmark = pytest.mark.skipif(not can_compile(), reason="needs the extra convert")

CASES = dict(
    zip(
        ["stream", "zeros", "short"],
        zip(
            VECTORS["chunking"],
            [stream(1_000_000), bytes(300_000), stream(8191)],
            strict=True,
        ),
        strict=True,
    )
)


def lengths(pieces: Iterable[bytes], *, compiled: bool) -> list[int]:
    chunker = Chunker(compiled=compiled)
    cuts = [length for piece in pieces for length in chunker.feed(piece)]
    last = chunker.finish()
    return [*cuts, last] if last else cuts


def rule(data: bytes) -> list[int]:
    """Cut by the written rule, byte by byte."""
    cuts, gear, size = [], 0, 0
    for byte in data:
        gear = (2 * gear + TABLE[byte]) % (1 << 64)
        size += 1
        if size >= 8192 and (gear >> 48 == 0 or size == 131072):
            cuts.append(size)
            gear = size = 0
    return [*cuts, size] if size else cuts


def test_the_table_equals_that_of_clients() -> None:
    digest = hashlib.sha256(struct.pack("<256Q", *TABLE)).hexdigest()
    assert digest == VECTORS["gear"]["table_sha256_of_le_u64"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiled", [False, True])
def test_files_are_chunked_as_clients_do(name: str, compiled: bool) -> None:
    case, data = CASES[name]
    assert hashlib.sha256(data).hexdigest() == case["sha256"]
    assert lengths([data], compiled=compiled) == case["lengths"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("step", [1000, 65536, 1 << 20])
def test_chunks_in_pieces_have_the_names_of_clients(name: str, step: int) -> None:
    case, data = CASES[name]
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    chunks = list(iterate_chunks(pieces))
    assert b"".join(chunks) == data
    assert [to_text(chunk_hash(chunk)) for chunk in chunks] == case["chunk_hashes"]
    named = file_hash((chunk_hash(chunk), len(chunk)) for chunk in chunks)
    assert to_text(named) == case["file_hash"]


def a_content(seed: int, size: int, period: int) -> bytes:
    """Return bytes with the given period, which makes hits more frequent or absent."""
    piece = random.Random(seed).randbytes(period)
    return (piece * (size // period + 1))[:size]


CONTENT = st.builds(
    a_content, st.integers(0, 1 << 20), st.integers(0, 300_000), st.integers(1, 300_000)
)


@given(CONTENT, st.lists(st.integers(0, 300_000), max_size=9))
@settings(deadline=None, max_examples=40)
def test_pieces_do_not_move_the_cuts_and_both_loops_agree(data: bytes, cuts: list[int]) -> None:
    expected = rule(data)
    edges = sorted({0, len(data), *(at for at in cuts if at < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert lengths(pieces, compiled=True) == expected
    assert lengths(pieces, compiled=False) == expected
    assert chunk_lengths(data) == expected


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_boundaries_at_the_shortest_length_count(data: st.DataObject) -> None:
    """Make the hash hit around 8192 bytes, where a scanner with skips fails first."""
    head = random.Random(data.draw(st.integers(0, 1 << 20))).randbytes(8192 + 40)
    body = bytearray(head * 3)
    hit = window_that_hits()
    at = data.draw(st.integers(8192 - 64 - 3, 8192 - 64 + 3))
    body[at : at + 64] = hit
    assert lengths([bytes(body)], compiled=True) == rule(bytes(body))
    assert lengths([bytes(body)], compiled=False) == rule(bytes(body))
    assert (at == 8192 - 64) <= (rule(bytes(body))[0] == 8192)


def window_that_hits() -> bytes:
    """Return 64 bytes after which the hash requires a cut."""
    data = stream(1_000_000)
    end = VECTORS["chunking"][0]["lengths"][0]
    return data[end - 64 : end]


def test_single_bytes_give_the_same_cuts() -> None:
    data = stream(150_000)
    assert lengths([bytes([byte]) for byte in data], compiled=False) == rule(data)
    assert lengths((data[at : at + 1] for at in range(len(data))), compiled=True) == rule(data)


def test_every_kind_of_buffer_is_accepted() -> None:
    data = stream(200_000)
    for compiled in (True, False):
        expected = lengths([data], compiled=compiled)
        for buffer in (bytearray(data), memoryview(data), memoryview(bytearray(data))):
            assert lengths([buffer], compiled=compiled) == expected  # type: ignore[list-item]


def test_an_empty_file_has_no_chunk() -> None:
    assert chunk_lengths(b"") == []
    assert list(iterate_chunks([])) == list(iterate_chunks([b"", b""])) == []


def test_a_chunker_starts_over_after_the_end() -> None:
    chunker = Chunker()
    first = [*chunker.feed(stream(100_000)), chunker.finish()]
    assert [*chunker.feed(stream(100_000)), chunker.finish()] == first


def test_the_import_loads_no_compiler() -> None:
    script = "import sys, hubstead.xet; sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def legacy(data: bytes) -> list[int]:
    """Cut by the rule of hf_xet before 1.1.10: no full window before the first check."""
    cuts, gear, size = [], 0, 0
    for byte in data:
        size += 1
        if size >= 8128:
            gear = (2 * gear + TABLE[byte]) % (1 << 64)
            if gear >> 48 == 0 or size == 131072:
                cuts.append(size)
                gear = size = 0
    return [*cuts, size] if size else cuts


def test_the_rule_of_older_clients_cuts_elsewhere_and_uploads_accept_it() -> None:
    case: dict[str, Any] = VECTORS["chunking"][0]
    data = stream(1_000_000)
    assert legacy(data) == case["legacy_lengths"] != chunk_lengths(data)
    at, leaves = 0, []
    for length in legacy(data):
        leaves.append((chunk_hash(data[at : at + length]), length))
        at += length
    assert to_text(file_hash(leaves)) == case["legacy_file_hash"]
