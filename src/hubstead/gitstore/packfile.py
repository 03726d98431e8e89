"""Pack and index formats: gitformat-pack(5), pack version 2, index version 2."""

from __future__ import annotations

import hashlib
import secrets
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

ObjectKind = Literal["commit", "tree", "blob", "tag"]

HEADER_BYTES = 12
_TYPE: dict[ObjectKind, int] = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_SAMPLE = 4096
_LARGE = 1 << 31


def pack_header(objects: int) -> bytes:
    """Return the first twelve bytes of a pack."""
    return struct.pack(">4sLL", b"PACK", 2, objects)


def object_header(kind: ObjectKind, size: int) -> bytes:
    """Return the pack entry header: the object's type and uncompressed size."""
    byte = _TYPE[kind] << 4 | size & 15
    size >>= 4
    header = bytearray()
    while size:
        header.append(byte | 128)
        byte = size & 127
        size >>= 7
    header.append(byte)
    return bytes(header)


def object_hash(kind: ObjectKind, size: int) -> hashlib._Hash:
    """Return a SHA-1 that has hashed the loose-object header; update it with the content."""
    return hashlib.sha1(f"{kind} {size}\0".encode(), usedforsecurity=False)


def deflate(data: bytes, level: int, *, salted: bool = False) -> bytes:
    """Compress one object into the zlib stream that a pack holds.

    Args:
        data: The object.
        level: zlib level; data that hardly shrinks is stored uncompressed.
        salted: Begin with random bytes that inflate to nothing.
    """
    level = _level_for(data, level)
    if not salted:
        return zlib.compress(data, level)
    body = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = body.compress(data) + body.flush()
    return b"\x78\x01" + _salt() + packed + zlib.adler32(data).to_bytes(4, "big")


def _level_for(sample: bytes, level: int) -> int:
    sample = sample[:_SAMPLE]
    if len(sample) < 512:
        return level
    return level if len(zlib.compress(sample, 1)) < 0.9 * len(sample) else 0


def _salt() -> bytes:
    """Return empty stored blocks with random padding bits.

    A pack's name is the hash of its bytes. Without a salt two requests that write the same
    objects would share one file, and the one that fails would remove the registered pack. RFC
    1951 (3.2.4) has readers ignore the bits between a stored block's header and the next byte;
    24 blocks carry 120 bits.
    """
    return b"".join(bytes([byte & 0xF8]) + b"\0\0\xff\xff" for byte in secrets.token_bytes(24))


@dataclass(frozen=True, slots=True)
class Packed:
    """The location of one object in a pack: ``length`` bytes, header included, at ``offset``."""

    oid: bytes
    kind: ObjectKind
    size: int
    offset: int
    length: int
    crc: int


def index_bytes(objects: list[Packed], pack_checksum: bytes) -> bytes:
    """Return the index of a pack with these objects."""
    rows = sorted(objects, key=lambda row: row.oid)
    large = [row.offset for row in rows if row.offset >= _LARGE]
    large_index = iter(range(len(large)))
    offsets = [_LARGE | next(large_index) if row.offset >= _LARGE else row.offset for row in rows]
    body = b"".join(
        [
            b"\xfftOc\0\0\0\2",
            struct.pack(">256L", *_fan_out(rows)),
            b"".join([row.oid for row in rows]),
            struct.pack(f">{len(rows)}L", *[row.crc for row in rows]),
            struct.pack(f">{len(rows)}L", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            pack_checksum,
        ]
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _fan_out(rows: list[Packed]) -> list[int]:
    """Return, for every byte value, how many ids begin with that byte or a lower one."""
    counts = [0] * 256
    for row in rows:
        counts[row.oid[0]] += 1
    total = 0
    for byte, count in enumerate(counts):
        total += count
        counts[byte] = total
    return counts
