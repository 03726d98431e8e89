"""Xorbs, files and shards for tests, built from bytes as a client builds them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hubstead.xet import (
    Term,
    XorbIndex,
    XorbParser,
    chunk_hash,
    encode_record,
    file_hash,
    merkle_root,
    range_hash,
    to_raw,
    to_text,
)

MAGIC = b"HFRepoMetaData" + bytes.fromhex("00556967456a7b815783a5bdd95ccdd14aa9")
BOOKEND = b"\xff" * 32 + bytes(16)
EMPTY_FILE = struct.pack("<32s2I8x32s16x", bytes(32), 3 << 30, 0, bytes(32))


@dataclass(frozen=True)
class SampleXorb:
    """A xorb as a client sends it."""

    chunks: list[bytes]
    raw: bytes  # its name
    body: bytes
    index: XorbIndex

    @property
    def name(self) -> str:
        return to_text(self.raw)

    def term(self, start: int, end: int) -> Term:
        return Term(self.raw, start, end, self.index.length(start, end))


@dataclass(frozen=True)
class SampleFile:
    """A file that consists of chunks of xorbs."""

    raw: bytes
    content: bytes
    terms: list[Term]
    range_hashes: bytes

    @property
    def name(self) -> str:
        return to_text(self.raw)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def a_xorb(chunks: Iterable[bytes]) -> SampleXorb:
    """Build a xorb of ``chunks``."""
    chunks = list(chunks)
    raw = merkle_root((chunk_hash(chunk), len(chunk)) for chunk in chunks)
    body = b"".join(map(encode_record, chunks))
    receiver = XorbParser(to_text(raw), len)
    receiver.feed(body)
    return SampleXorb(chunks, raw, body, receiver.finish())


def a_file(*parts: tuple[SampleXorb, int, int]) -> SampleFile:
    """Build a file from chunks of xorbs, ends exclusive."""
    chunks = [chunk for xorb, start, end in parts for chunk in xorb.chunks[start:end]]
    return SampleFile(
        raw=file_hash((chunk_hash(chunk), len(chunk)) for chunk in chunks),
        content=b"".join(chunks),
        terms=[xorb.term(start, end) for xorb, start, end in parts],
        range_hashes=b"".join(
            range_hash(xorb.index.hashes(start, end)) for xorb, start, end in parts
        ),
    )


def a_shard(
    files: Sequence[SampleFile] = (), xorbs: Sequence[SampleXorb] = (), *, tail: bytes = b""
) -> bytes:
    """Build the shard of an upload."""
    entries = [file_entry(file.raw, file.terms, file.range_hashes, file.sha256) for file in files]
    return shard_of(entries, map(xorb_entry, xorbs), tail=tail)


def shard_of(files: Iterable[bytes], xorbs: Iterable[bytes] = (), *, tail: bytes = b"") -> bytes:
    """Build a shard of encoded entries, which need not be valid."""
    head = MAGIC + struct.pack("<2Q", 2, 0)
    return b"".join([head, *files, BOOKEND, *xorbs, BOOKEND, tail])


def file_entry(
    raw: bytes, terms: Iterable[Term], range_hashes: bytes, sha256: str | None = None
) -> bytes:
    """Encode the entry of a file; any part of it may be false."""
    terms = list(terms)
    flags = (1 << 31 if range_hashes else 0) | (1 << 30 if sha256 is not None else 0)
    parts = [struct.pack("<32s2I8x", raw, flags, len(terms))]
    parts += [struct.pack("<32s4I", xorb, 0, size, start, end) for xorb, start, end, size in terms]
    parts += [range_hashes[at : at + 32] + bytes(16) for at in range(0, len(range_hashes), 32)]
    if sha256 is not None:
        parts.append(to_raw(sha256) + bytes(16))
    return b"".join(parts)


def xorb_entry(xorb: SampleXorb) -> bytes:
    """Encode the entry of a xorb."""
    index = xorb.index
    chunks = [
        struct.pack("<32s4I", index.hash_at(at), index.offset(at), index.length(at, at + 1), 0, 0)
        for at in range(len(index))
    ]
    return struct.pack("<32s4I", xorb.raw, 0, len(index), index.unpacked, 0) + b"".join(chunks)
