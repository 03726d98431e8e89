"""Writes deduplication responses: shards that list chunks which a client need not send.

A shard lists only the visible chunks of a xorb. Their hashes are keyed, so that only a client that
has a chunk recognizes it. Hidden chunks before and between them are random hashes of one length,
because terms number chunks from the first one, and true lengths would disclose content. Hidden
chunks behind the last visible one are left out.
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
    """A xorb of a response: its raw hash, its chunks, and which of them are visible."""

    hash: bytes
    index: XorbIndex
    visible: Sequence[tuple[int, int]]  # ranges of chunks, ends exclusive
    first: Collection[int] = ()  # chunks that are the first of a file


def is_eligible(raw: bytes) -> bool:
    """Return whether clients query a chunk of this hash at any position in a file."""
    return int.from_bytes(raw[24:32], "little") % 1024 == 0


def write_dedup_shard(xorbs: Iterable[KnownChunks], *, key: bytes, now: int, expiry: int) -> bytes:
    """Return the shard for ``xorbs``; ``key`` is 32 random bytes, times are Unix seconds.

    ``expiry`` has to be later than ``now``, by minutes at least: releases up to hf_xet 1.1.5 ignore
    an expired shard, later ones use it for the current upload only.
    """
    if len(key) != 32 or not any(key):
        raise ValueError("the key would disclose hashes in clear")
    entries = [_xorb(known, key) for known in xorbs if known.visible]
    body = b"".join([_HEADER.pack(MAGIC, 2, _FOOTER.size), BOOKEND, *entries, BOOKEND])
    at = len(body)
    # Even empty lookup tables need an offset within the file: at offset zero hf_xet reads the
    # magic as a count and crashes the user's process.
    lookups = (at, 0) * 3
    return body + _FOOTER.pack(1, _FILES_AT, _XORBS_AT, *lookups, key, now, expiry, 0, 0, 0, at)


def _xorb(known: KnownChunks, key: bytes) -> bytes:
    chunks = list(_chunks(known, key))
    entries = bytearray()
    at = 0
    for listed_hash, length, flags in chunks:
        entries += _CHUNK.pack(listed_hash, at, length, flags)
        at += length
    return _XORB.pack(known.hash, 0, len(chunks), at, 0) + entries


def _chunks(known: KnownChunks, key: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (hash, length, flags) of the chunks up to the last visible one."""
    visible = {at for start, end in known.visible for at in range(start, end)}
    listed = max(visible) + 1
    noise = os.urandom(32 * listed)
    for at in range(listed):
        if at in visible:
            raw = known.index.hash_at(at)
            is_queried = at in known.first or is_eligible(raw)
            length = known.index.length(at, at + 1)
            yield keyed_hash(key, raw), length, _ELIGIBLE if is_queried else 0
        else:
            yield noise[32 * at : 32 * at + 32], _HIDDEN_LENGTH, 0
