"""Chunks to records, for xorbs that the hub makes itself."""

from __future__ import annotations

from lz4 import frame

from hubstead.xet.records import HEADER, MAX_CHUNK_BYTES, Buffer, Scheme, grouped

#: As many bytes decide between the schemes; a multiple of four.
_SAMPLE_BYTES = 8192


def encode(chunk: Buffer) -> bytes:
    """Return the record of a chunk of 1 to 131072 bytes, compressed if that makes it smaller.

    Which scheme is tried is told by a sample from the middle.
    """
    size = len(chunk)
    if not 0 < size <= MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk has 1 to {MAX_CHUNK_BYTES} bytes, not {size}")
    scheme = _best_scheme(chunk)
    data = _compressed(chunk, scheme)
    if len(data) >= size:
        scheme, data = Scheme.NONE, chunk
    return b"".join((HEADER.pack(len(data) << 8, size << 8 | scheme), data))


def _best_scheme(chunk: Buffer) -> Scheme:
    start = max(0, (len(chunk) - _SAMPLE_BYTES) // 2 & ~3)
    sample = chunk[start : start + _SAMPLE_BYTES]
    plain, mixed = (_compressed(sample, scheme) for scheme in (Scheme.LZ4, Scheme.GROUPED_LZ4))
    if min(len(plain), len(mixed)) >= len(sample):
        return Scheme.NONE
    return Scheme.LZ4 if len(plain) <= len(mixed) else Scheme.GROUPED_LZ4


def _compressed(chunk: Buffer, scheme: Scheme) -> Buffer:
    if scheme == Scheme.NONE:
        return chunk
    packed: bytes = frame.compress(
        grouped(chunk) if scheme == Scheme.GROUPED_LZ4 else chunk,
        block_size=frame.BLOCKSIZE_MAX256KB,
        block_linked=False,
        store_size=False,
    )
    return packed
