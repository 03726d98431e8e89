"""Bytes of xorbs as clients send them, written without the code under test."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import lz4.frame

from hubstead.xet import chunk_hash, merkle_root, to_text

PLAIN, LZ4, GROUPED = 0, 1, 2
#: The frames of hf_xet releases, and of the JS client; then other legal frames.
FRAMES: list[dict[str, Any]] = [
    {"block_size": lz4.frame.BLOCKSIZE_MAX64KB, "block_linked": False, "store_size": False},
    {"block_size": lz4.frame.BLOCKSIZE_MAX256KB, "block_linked": False, "store_size": False},
    {"block_size": lz4.frame.BLOCKSIZE_MAX4MB, "block_linked": True, "store_size": False},
    {"block_linked": True, "content_checksum": True, "block_checksum": True, "store_size": True},
]


def stream(size: int) -> bytes:
    """Return the first bytes of the vectors' stream."""
    blocks = (hashlib.sha256(b"xet-vector-%d" % at).digest() for at in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def header(data: int, scheme: int, chunk: int, version: int = 0) -> bytes:
    """Write the header of a record, valid or not."""
    return struct.pack("<BI", version, data)[:4] + struct.pack("<BI", scheme, chunk)[:4]


def record(chunk: bytes, scheme: int = PLAIN, frame: dict[str, Any] = FRAMES[0]) -> bytes:
    """Write the record of a chunk, even if the scheme makes it longer."""
    data = chunk
    if scheme == GROUPED:
        data = bytes(chunk[at] for first in range(4) for at in range(first, len(chunk), 4))
    if scheme != PLAIN:
        data = lz4.frame.compress(data, **frame)
    return header(len(data), scheme, len(chunk)) + data


def name_of(chunks: list[bytes]) -> str:
    """Return the hash string of a xorb."""
    return to_text(merkle_root((chunk_hash(chunk), len(chunk)) for chunk in chunks))


def footer(name: bytes, records: list[bytes], chunks: list[bytes], version: int = 1) -> bytes:
    """Write the footer as hf_xet before 1.1.4 does."""
    count = len(chunks)
    hashes = b"".join(map(chunk_hash, chunks))
    ends = struct.pack(f"<{count}I", *running(records))
    if version == 0:
        trailer = b"XETBLOB\0" + name + struct.pack("<I", count) + ends + hashes + bytes(16)
        return trailer + struct.pack("<I", len(trailer))
    trailer = b"XETBLOB\1" + name + b"XBLBHSH\0" + struct.pack("<I", count) + hashes
    trailer += b"XBLBBND\1" + struct.pack("<I", count) + ends
    trailer += struct.pack(f"<{count}I", *running(chunks))
    trailer += struct.pack("<3I", count, 52 + 40 * count, 40 + 8 * count) + bytes(16)
    return trailer + struct.pack("<I", len(trailer))


def running(parts: list[bytes]) -> list[int]:
    """Return the end of each part in their concatenation."""
    ends, end = [], 0
    for part in parts:
        end += len(part)
        ends.append(end)
    return ends
