"""Deduplication answers: shards that tell a client of chunks it need not send.

Of each xorb only what the client may know of is told (``readable``). Chunk hashes are keyed,
so that they mean something only to who has the chunk already. The chunks before and between
stand there as random hashes of one length, because terms count chunks from the first; even
their true lengths would tell of what they are. Those behind are left out.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hubstead.xet.hashes import keyed_hash
from hubstead.xet.shards import BOOKEND, MAGIC
from hubstead.xet.xorbs import XorbIndex

_HEADER = struct.Struct("<32s2Q")
_XORB = struct.Struct("<32s4I")
_CHUNK = struct.Struct("<32s3I4x")
_FOOTER = struct.Struct("<9Q32s2Q48x4Q")
_FILES_AT = 48
_XORBS_AT = 96
_ELIGIBLE = 1 << 31
_HIDDEN_LENGTH = 65_536


@dataclass(frozen=True, slots=True)
class KnownChunks:
    """A xorb of an answer: its raw hash, its chunks, and which of them may be told."""

    hash: bytes
    index: XorbIndex
    readable: Sequence[tuple[int, int]]  # ranges of chunks, the end exclusive
    first: Collection[int] = ()  # chunks that are known to be the first of a file


def is_eligible(raw: bytes) -> bool:
    """Say whether clients ask for a chunk of this hash wherever it stands in a file."""
    return int.from_bytes(raw[24:32], "little") % 1024 == 0


def write_dedup_shard(xorbs: Iterable[KnownChunks], *, key: bytes, now: int, expiry: int) -> bytes:
    """Return the shard for ``xorbs``; ``key`` is 32 random bytes, times are unix seconds.

    Let ``expiry`` lie ahead, be it by minutes: releases up to hf_xet 1.1.5 make nothing of an
    answer that is over already, later ones use it for the upload that they are at.
    """
    if len(key) != 32 or not any(key):
        raise ValueError("hashes would be told in clear")
    told = [_xorb(known, key) for known in xorbs if known.readable]
    body = b"".join([_HEADER.pack(MAGIC, 2, _FOOTER.size), BOOKEND, *told, BOOKEND])
    at = len(body)
    # Lookup tables that are empty must still lie in the file: at a zero offset hf_xet takes
    # the magic for a count and ends the user's process.
    lookups = (at, 0) * 3
    return body + _FOOTER.pack(1, _FILES_AT, _XORBS_AT, *lookups, key, now, expiry, 0, 0, 0, at)


def _xorb(known: KnownChunks, key: bytes) -> bytes:
    chunks = list(_chunks(known, key))
    entries = bytearray()
    at = 0
    for shown, length, flags in chunks:
        entries += _CHUNK.pack(shown, at, length, flags)
        at += length
    return _XORB.pack(known.hash, 0, len(chunks), at, 0) + entries


def _chunks(known: KnownChunks, key: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield hash, length and flags of each chunk up to the last that may be told."""
    readable = {at for start, end in known.readable for at in range(start, end)}
    listed = max(readable) + 1
    noise = os.urandom(32 * listed)
    for at in range(listed):
        if at in readable:
            raw = known.index.hash_at(at)
            asked_for = at in known.first or is_eligible(raw)
            length = known.index.length(at, at + 1)
            yield keyed_hash(key, raw), length, _ELIGIBLE if asked_for else 0
        else:
            yield noise[32 * at : 32 * at + 32], _HIDDEN_LENGTH, 0
