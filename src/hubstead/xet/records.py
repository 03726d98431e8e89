"""The record of a chunk in a xorb: a header of 8 bytes, then its data, perhaps compressed.

The format and its limits are those of the Xet protocol ("Xorb bytes"); clients' own readers have
the same limits.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from lz4.frame import create_decompression_context, decompress_chunk

HEADER_BYTES = 8
#: Two little-endian words: version (low byte) and stored length; scheme (low byte) and length.
HEADER = struct.Struct("<II")

MAX_CHUNK_BYTES = 131_072
MAX_DATA_BYTES = 262_144
MAX_CHUNKS = 8192
MAX_UNPACKED_BYTES = 64 << 20
#: Clients limit unpacked bytes; an incompressible xorb grows by its headers.
MAX_STORED_BYTES = MAX_UNPACKED_BYTES + MAX_CHUNKS * HEADER_BYTES

Buffer = bytes | bytearray | memoryview


class Scheme(IntEnum):
    """How the data of a record is compressed."""

    NONE = 0
    LZ4 = 1
    GROUPED_LZ4 = 2  # every fourth byte, then every fourth from the second on, …


def read_header(records: Buffer, at: int = 0) -> tuple[int, int, int]:
    """Return the length of a record's data, its scheme, and the length of its chunk.

    Raises:
        ValueError: the header is invalid; the message gives the reason.
    """
    first, second = HEADER.unpack_from(records, at)
    data, chunk = first >> 8, second >> 8
    if first & 0xFF:
        raise ValueError(f"a record has version 0, not {first & 0xFF}")
    if not 0 < chunk <= MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk has 1 to {MAX_CHUNK_BYTES} bytes, not {chunk}")
    if data > MAX_DATA_BYTES:
        raise ValueError(f"a chunk is stored in at most {MAX_DATA_BYTES} bytes, not {data}")
    return data, second & 0xFF, chunk


class Unpacker:
    """Decompresses the data of records. For one thread at a time; not usable after an error."""

    def __init__(self) -> None:
        self._context = create_decompression_context()

    def unpack(self, scheme: int, data: Buffer, size: int) -> Buffer:
        """Return the chunk; an uncompressed one is ``data`` itself.

        The output never exceeds ``size`` bytes.

        Raises:
            ValueError: ``data`` is not a chunk of ``size`` bytes; the message gives the reason.
        """
        if scheme == Scheme.NONE:
            if len(data) != size:
                raise ValueError(f"a chunk of {size} bytes is stored plain in {len(data)}")
            return data
        if scheme not in (Scheme.LZ4, Scheme.GROUPED_LZ4):
            raise ValueError(f"there is no compression scheme {scheme}")
        chunk = self._decompress(data, size)
        return chunk if scheme == Scheme.LZ4 else ungrouped(chunk)

    def _decompress(self, data: Buffer, size: int) -> bytearray:
        chunk: bytearray
        try:
            # Only a bytearray is assigned to slices without another copy (see `ungrouped`).
            chunk, used, ended = decompress_chunk(
                self._context, data, max_length=size, return_bytearray=True
            )
        except RuntimeError as fault:
            raise ValueError("the data is not an LZ4 frame") from fault
        if len(chunk) != size or not ended:
            raise ValueError(f"the LZ4 frame does not hold {size} bytes")
        if used != len(data):
            raise ValueError("there is more after the LZ4 frame")
        return chunk


def grouped(chunk: Buffer) -> bytes:
    """Return the bytes in the order of scheme 2, which puts like parts of numbers together."""
    if isinstance(chunk, memoryview):
        chunk = bytes(chunk)  # a view with steps cannot be joined
    return b"".join((chunk[0::4], chunk[1::4], chunk[2::4], chunk[3::4]))


def ungrouped(groups: bytearray) -> bytearray:
    """Undo `grouped`."""
    size = len(groups)
    chunk = bytearray(size)
    start = 0
    for first in range(4):
        end = start + (size - first + 3) // 4
        chunk[first::4] = groups[start:end]
        start = end
    return chunk
