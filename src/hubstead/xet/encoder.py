"""Encodes chunks as records, for xorbs that the hub itself creates."""

from __future__ import annotations

from lz4 import frame

from hubstead.xet.records import HEADER, MAX_CHUNK_BYTES, Buffer, Scheme, grouped

#: Bytes from the middle of a chunk that decide between the schemes; a multiple of four.
_SAMPLE_BYTES = 8192
#: Compression must save this fraction (one in so many bytes) to be worth its cost at reading …
_LEAST_SAVED = 64
#: … and grouping this fraction beyond that, because it is slower to undo.
_LEAST_SAVED_BY_GROUPS = 50


def encode_record(chunk: Buffer) -> bytes:
    """Return the record of a chunk of 1 to 131072 bytes, compressed if that is worth while.

    Raises:
        ValueError: the chunk is empty or too long.
    """
    size = len(chunk)
    if not 0 < size <= MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk has 1 to {MAX_CHUNK_BYTES} bytes, not {size}")
    scheme = Scheme.GROUPED_LZ4 if _gains_by_groups(chunk) else Scheme.LZ4
    data: Buffer = _compressed(chunk, scheme)
    if len(data) >= size - size // _LEAST_SAVED:
        scheme, data = Scheme.NONE, chunk
    return b"".join((HEADER.pack(len(data) << 8, size << 8 | scheme), data))


def _gains_by_groups(chunk: Buffer) -> bool:
    start = max(0, (len(chunk) - _SAMPLE_BYTES) // 2 & ~3)
    sample = chunk[start : start + _SAMPLE_BYTES]
    plain = min(len(sample), len(_compressed(sample, Scheme.LZ4)))
    mixed = len(_compressed(sample, Scheme.GROUPED_LZ4))
    return mixed + len(sample) // _LEAST_SAVED_BY_GROUPS < plain


def _compressed(chunk: Buffer, scheme: Scheme) -> bytes:
    packed: bytes = frame.compress(
        grouped(chunk) if scheme == Scheme.GROUPED_LZ4 else chunk,
        block_size=frame.BLOCKSIZE_MAX256KB,
        block_linked=False,
        store_size=False,
    )
    return packed
