"""Hashes of chunks, xorbs and files: keyed BLAKE3, and trees of it (Xet protocol, "Hashes").

A hash is 32 raw bytes. Its *hash string*, in addresses and JSON, is its four 64-bit little-endian
words, as 16 hex digits per word.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterable, Sequence

from blake3 import blake3

from hubstead.errors import InvalidInput

HASH_BYTES = 32
#: The hash of an empty file.
NO_HASH = bytes(HASH_BYTES)

_CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
_FILE_KEY = bytes(HASH_BYTES)

_TEXT = re.compile(r"[0-9a-f]{64}")
_WORDS = struct.Struct("<4Q")

#: A group of nodes ends with a hash that is a multiple of four, which its lowest byte shows.
_ENDS_GROUP = bytes(byte % 4 == 0 for byte in range(256))
_LOWEST_BYTE = 24
_MOST_IN_GROUP = 9
#: Nodes whose hash strings are computed together.
_BLOCK = 4096


def to_raw(text: str) -> bytes:
    """Return the 32 bytes of a hash string.

    Raises:
        InvalidInput: ``text`` is not 64 lower-case hex digits.
    """
    if not _TEXT.fullmatch(text):
        raise InvalidInput(reason="A hash has 64 lower-case hex digits")
    return _WORDS.pack(*(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def to_text(raw: bytes) -> str:
    """Return the hash string of 32 bytes."""
    return _texts(raw)


def keyed_hash(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """Return the BLAKE3 hash of ``data`` under the 32 bytes ``key``.

    Deduplication responses hide the raw hashes of chunks with it.
    """
    return blake3(data, key=key).digest()


def chunk_hash(data: bytes | bytearray | memoryview) -> bytes:
    """Return the raw hash of a chunk."""
    return blake3(data, key=_CHUNK_KEY).digest()


def range_hash(hashes: bytes | memoryview) -> bytes:
    """Return the hash that proves possession of chunks, given their concatenated raw hashes."""
    return blake3(hashes, key=_RANGE_KEY).digest()


def merkle_root(leaves: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the hash of a xorb, given (raw hash, length in bytes) of its chunks."""
    hashes: list[bytes] = []
    lengths: list[int] = []
    for leaf, length in leaves:
        hashes.append(leaf)
        lengths.append(length)
    return _root(b"".join(hashes), lengths)


def file_hash(leaves: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the hash of a file, given its chunks as for `merkle_root`; zero bytes if empty."""
    return _file(merkle_root(leaves))


def file_hash_of(hashes: bytes, lengths: Sequence[int]) -> bytes:
    """Return the same as `file_hash`, with far less memory: the raw hashes are concatenated."""
    return _file(_root(hashes, lengths))


def _file(root: bytes) -> bytes:
    return root if root == NO_HASH else blake3(root, key=_FILE_KEY).digest()


def _root(hashes: bytes, lengths: Sequence[int]) -> bytes:
    if not lengths:
        return NO_HASH
    while len(lengths) > 1:
        hashes, lengths = _parents(hashes, lengths)
    return hashes


def _parents(hashes: bytes, lengths: Sequence[int]) -> tuple[bytes, array[int]]:
    count = len(lengths)
    ends = hashes[_LOWEST_BYTE::HASH_BYTES].translate(_ENDS_GROUP)
    above = bytearray()
    sums = array("Q")
    start = 0
    for block in range(0, count, _BLOCK):
        # The last group may reach beyond the block. All texts at once would take much memory.
        until = min(block + _BLOCK, count)
        most = min(until + _MOST_IN_GROUP, count)
        texts = _texts(hashes[HASH_BYTES * block : HASH_BYTES * most])
        lines = [
            f"{texts[64 * at : 64 * at + 64]} : {length}\n"
            for at, length in enumerate(lengths[block:most])
        ]
        while start < until:
            end = _group_end(ends, start, count)
            text = "".join(lines[start - block : end - block])
            above += blake3(text.encode(), key=_NODE_KEY).digest()
            sums.append(sum(lengths[start:end]))
            start = end
    return bytes(above), sums


def _group_end(ends: bytes, start: int, count: int) -> int:
    most = min(start + _MOST_IN_GROUP, count)
    if count - start <= 2:
        return most
    last = ends.find(1, start + 2, most)
    return most if last < 0 else last + 1


def _texts(hashes: bytes) -> str:
    """Return the concatenated hash strings of concatenated hashes."""
    words = struct.unpack(f"<{len(hashes) // 8}Q", hashes)
    return struct.pack(f">{len(words)}Q", *words).hex()
