"""Hashes equal those of real clients."""

from __future__ import annotations

import random
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hubstead.errors import InvalidInput
from hubstead.xet import (
    NO_HASH,
    chunk_hash,
    file_hash,
    keyed_hash,
    merkle_root,
    range_hash,
    to_raw,
    to_text,
)
from hubstead.xet.hashes import file_hash_of
from tests.xet.vectors import VECTORS
from tests.xet.wire_xorbs import stream

NODE_KEY = bytes.fromhex(VECTORS["keys"]["internal_node_key_hex"])


def leaves(count: int) -> list[tuple[bytes, int]]:
    return [(chunk_hash(b"leaf-%d" % at), 1000 + at) for at in range(count)]


@pytest.mark.parametrize("case", VECTORS["hash_string"][:2], ids=lambda case: case["string"][:8])
def test_hash_strings_reverse_each_word(case: dict[str, str]) -> None:
    assert to_text(bytes.fromhex(case["raw_hex"])) == case["string"]
    assert to_raw(case["string"]).hex() == case["raw_hex"]


def test_a_sha256_in_a_shard_is_reversed_like_a_hash() -> None:
    case = VECTORS["hash_string"][2]
    assert to_text(bytes.fromhex(case["bytes_in_shard_hex"])) == case["sha256_hexdigest"]


@given(st.binary(min_size=32, max_size=32))
def test_hash_strings_encode_the_whole_hash(raw: bytes) -> None:
    assert to_raw(to_text(raw)) == raw


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "0" * 64 + "\n", "g" * 64, "A" * 64, "٠" * 64, "-" + "1" * 63]
)
def test_other_texts_are_not_hash_strings(text: str) -> None:
    with pytest.raises(InvalidInput):
        to_raw(text)


@pytest.mark.parametrize(
    ("data", "case"),
    list(
        zip(
            [b"", b"\0", b"hello world", stream(9001), bytes(131072)],
            VECTORS["chunk_hash"],
            strict=True,
        )
    ),
    ids=lambda case: case["input"] if isinstance(case, dict) else "",
)
def test_chunks_have_the_names_of_clients(data: bytes, case: dict[str, Any]) -> None:
    assert len(data) == case["len"]
    for buffer in (data, bytearray(data), memoryview(data)):
        assert to_text(chunk_hash(buffer)) == case["hash"]


@pytest.mark.parametrize("case", VECTORS["merkle"]["cases"], ids=lambda case: f"{case['n']}")
def test_xorbs_and_files_have_the_names_of_clients(case: dict[str, Any]) -> None:
    assert to_text(merkle_root(leaves(case["n"]))) == case["xorb_hash"]
    assert to_text(file_hash(iter(leaves(case["n"])))) == case["file_hash"]


@pytest.mark.parametrize("case", VECTORS["range_hash"], ids=lambda case: case["leaves"])
def test_range_hashes_equal_those_of_clients(case: dict[str, str]) -> None:
    count = int(case["leaves"].split("..")[1])
    raw = b"".join(leaf for leaf, _ in leaves(count))
    assert to_text(range_hash(raw)) == case["hash"]
    assert range_hash(memoryview(raw)) == range_hash(raw)


def test_hidden_hashes_equal_those_that_clients_compute() -> None:
    case = VECTORS["hmac"]
    hidden = keyed_hash(bytes.fromhex(case["key_hex"]), to_raw(case["chunk_hash"]))
    assert to_text(hidden) == case["keyed"]


def root_by_text(nodes: list[tuple[bytes, int]]) -> bytes:
    """Compute a root node by node, as the text of the protocol describes."""
    if not nodes:
        return NO_HASH
    while len(nodes) > 1:
        above = []
        while nodes:
            most = min(9, len(nodes))
            size = most
            if len(nodes) > 2:
                hits = (at + 1 for at in range(2, most) if nodes[at][0][24] % 4 == 0)
                size = next(hits, most)
            group, nodes = nodes[:size], nodes[size:]
            lines = "".join(f"{to_text(raw)} : {length}\n" for raw, length in group)
            raw = blake3(lines.encode(), key=NODE_KEY).digest()
            above.append((raw, sum(length for _, length in group)))
        nodes = above
    return nodes[0][0]


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(1, 1 << 40))))
def test_roots_equal_those_of_the_text(nodes: list[tuple[bytes, int]]) -> None:
    assert merkle_root(nodes) == root_by_text(nodes)


@given(st.integers(0, 300), st.sampled_from([0, 1, 4, 255]))
def test_roots_of_similar_nodes_are_right_too(count: int, low: int) -> None:
    nodes = [(bytes(24) + bytes([low]) + bytes(7), 1)] * count
    assert merkle_root(nodes) == root_by_text(nodes)


@pytest.mark.parametrize("block", [1, 2, 8, 9, 10, 64])
def test_a_name_does_not_depend_on_the_block_size(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    rng = random.Random(block)
    for count in [*range(40), 333]:
        nodes = [(rng.randbytes(32), rng.randrange(1, 131_073)) for _ in range(count)]
        whole = file_hash(nodes)
        with monkeypatch.context() as patch:
            patch.setattr("hubstead.xet.hashes._BLOCK", block)
            joined = b"".join(raw for raw, _ in nodes)
            assert file_hash_of(joined, [length for _, length in nodes]) == whole
