"""Fuzzes the parsers of xorbs and shards by coverage: ``python -m tests.fuzz.formats xorb``.

The other arguments go to libFuzzer. A run fails on any error but the parser's refusal, and if
an accepted input does not survive a round trip.
"""

from __future__ import annotations

import sys

import atheris
from lz4 import frame

with atheris.instrument_imports(include=["hubstead.xet"]):
    from hubstead import xet
from tests.support.xet_files import file_entry, shard_of

NOBODY = xet.to_text(b"\x11" * 32)


def shard(data: bytes) -> None:
    """Parse a shard, encode the result again, and parse the same."""
    try:
        read = xet.parse_shard(data, max_files=500, max_terms=500)
    except xet.ShardRefused:
        return
    files, xorbs = list(read.files), list(read.xorbs)
    again = shard_of(map(_file, files), map(_xorb, xorbs))
    assert len(again) <= len(data)
    written = xet.parse_shard(again)
    assert list(written.files) == files
    assert [(xorb.hash, xorb.chunks) for xorb in written.xorbs] == [
        (xorb.hash, xorb.chunks) for xorb in xorbs
    ]
    for file in files:
        assert len(file.terms) <= 500
        assert list(xet.Terms.unpack(file.terms.pack())) == list(file.terms)
        assert file.terms.size == sum(term.bytes for term in file.terms)
    for xorb in xorbs:
        assert 0 < len(xorb) == len(xorb.lengths()) == len(xorb.hashes()) // 32


def _file(file: xet.FileEntry) -> bytes:
    # A file without terms may have range hashes, of which there are none then.
    return file_entry(file.hash, file.terms, file.range_hashes, file.sha256)


def _xorb(xorb: xet.XorbEntry) -> bytes:
    numbers = (0, len(xorb), xorb.unpacked, 0)
    return xorb.hash + b"".join(number.to_bytes(4, "little") for number in numbers) + xorb.chunks


def xorb(data: bytes) -> None:
    """Receive a xorb in pieces under the name of its chunks, and decode it again."""
    step, body = 1 + (data[0] if data else 0), data[1:]
    chunks = _chunks(body)
    if not chunks:
        return
    name = xet.to_text(xet.merkle_root((xet.chunk_hash(chunk), len(chunk)) for chunk in chunks))
    whole, pieces = _receive(name, body, len(body)), _receive(name, body, step * 31)
    assert whole == pieces
    if whole is None:
        return
    index, written = whole
    assert written == body[: index.size]
    assert body[index.size :][:7] in (b"", b"XETBLOB")
    assert [bytes(chunk) for chunk in xet.decode_records(written)] == chunks
    assert _records(written) == len(chunks)
    assert index.unpacked == sum(map(len, chunks)) <= xet.MAX_UNPACKED_BYTES
    assert len(index) == len(chunks) <= xet.MAX_CHUNKS
    assert xet.XorbIndex.unpack(index.pack()) == index
    assert index.name() == xet.to_raw(name)
    again = b"".join(map(xet.encode_record, chunks))
    assert _receive(name, again, len(again)) is not None


def _records(body: bytes) -> int:
    """Parse stored records by their description, with nothing between or after them."""
    at = count = 0
    while at < len(body):
        stored, scheme, size = body[at + 1 : at + 4], body[at + 4], body[at + 5 : at + 8]
        data = body[at + 8 : at + 8 + int.from_bytes(stored, "little")]
        at += 8 + len(data)
        count += 1
        if scheme:
            whole, used = frame.decompress(data, return_bytes_read=True)
            assert (len(whole), used) == (int.from_bytes(size, "little"), len(data))
    assert at == len(body)
    return count


def _chunks(body: bytes) -> list[bytes]:
    """Return the chunks that a receiver accepts before it checks the name."""
    written = bytearray()
    receiver = xet.XorbParser(NOBODY, written.extend)
    try:
        receiver.feed(body)
        receiver.finish()
    except xet.XorbRefused:
        return [bytes(chunk) for chunk in xet.decode_records(bytes(written))]
    raise AssertionError("a xorb under a name that is not its own")


def _receive(name: str, body: bytes, step: int) -> tuple[xet.XorbIndex, bytes] | None:
    written = bytearray()
    receiver = xet.XorbParser(name, written.extend)
    try:
        for at in range(0, len(body), step):
            receiver.feed(memoryview(body)[at : at + step])
        return receiver.finish(), bytes(written)
    except xet.XorbRefused:
        return None


if __name__ == "__main__":
    target = {"shard": shard, "xorb": xorb}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
