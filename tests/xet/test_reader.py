"""Any part of any file, from xorbs of any shape, is read exactly."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, NodeCache
from hubstead.errors import BlobDamaged
from hubstead.xet import Terms, XetSource, XorbIndex, XorbParser
from hubstead.xet.reader import ChunkReader, Piece, StoredXorb
from tests.support.xet_files import SampleXorb, a_file, a_xorb
from tests.xet.wire_xorbs import record


class _Anything:
    def update(self, chunk: bytes | memoryview) -> None: ...

    def finish(self) -> None: ...


@some.composite
def a_chunk(draw: some.DrawFn) -> bytes:
    size = draw(some.sampled_from([1, 2, 7, 100, 8192, 65_536, 131_072]))
    if draw(some.booleans()):
        return draw(some.binary(min_size=1, max_size=3)) * size  # compressible
    return random.Random(draw(some.integers(0, 99))).randbytes(size)


def short(chunk: bytes) -> bytes:
    return chunk[:131_072]


@given(
    xorbs=some.lists(
        some.lists(a_chunk().map(short), min_size=1, max_size=12), min_size=1, max_size=3
    ),
    data=some.data(),
)
@settings(max_examples=60, deadline=None)
def test_every_part_of_every_file_is_exact(xorbs: list[list[bytes]], data: some.DataObject) -> None:
    built = [a_xorb(chunks) for chunks in xorbs]
    parts = []
    for _ in range(data.draw(some.integers(1, 8))):
        xorb = data.draw(some.sampled_from(built))
        start = data.draw(some.integers(0, len(xorb.chunks) - 1))
        parts.append((xorb, start, data.draw(some.integers(start + 1, len(xorb.chunks)))))
    file = a_file(*parts)
    start = data.draw(some.integers(0, len(file.content)))
    end = data.draw(some.integers(start, len(file.content)))
    assert asyncio.run(_read(built, Terms.of(file.terms), start, end)) == file.content[start:end]


async def _read(built: Sequence[SampleXorb], terms: Terms, start: int, end: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = LocalBlobs(Path(folder))
        known: dict[bytes, StoredXorb] = {}
        for at, xorb in enumerate(built):
            key = BlobKey(BlobKind.XORB, f"{at:064x}")
            await store.put(key, xorb.body, _Anything())
            packed = xorb.index.pack()[32 * len(xorb.index) :]
            known[xorb.raw] = StoredXorb(key.name, XorbIndex.unpack_offsets(packed))

        async def locate(xorbs: Sequence[bytes]) -> Mapping[bytes, StoredXorb]:
            return {xorb: known[xorb] for xorb in xorbs}

        source = XetSource(terms, locate, NodeCache(store, Path(folder) / "cache", 1 << 20))
        return b"".join([part async for part in source.chunks(start, end - start)])


def test_compressed_records_with_the_total_size_of_plain_ones_are_detected(tmp_path: Path) -> None:
    """One chunk is stored larger than its content, another smaller by the same amount."""
    plain = os.urandom(900)
    grown = record(plain, 1)
    surplus = len(grown) - 8 - len(plain)
    repeated = next(
        chunk
        for zeros in range(20, 400)
        if len(record(chunk := plain[:200] + bytes(zeros), 1)) - 8 == len(chunk) - surplus
    )
    body = grown + record(repeated, 1)
    xorb = a_xorb([plain, repeated])
    receiver = XorbParser(xorb.name, len)
    receiver.feed(body)
    index = receiver.finish()
    assert index.size == index.unpacked + 16
    path = tmp_path / "xorb"
    path.write_bytes(body)
    with path.open("rb") as file:
        out = memoryview(bytearray(index.unpacked))
        ChunkReader().read(file.fileno(), Piece("", index, 0, 2), out)
    assert out == plain + repeated


@pytest.mark.parametrize("stored", [bytes, lambda body: body[:-1], lambda body: b""])
def test_a_truncated_file_is_reported_as_corrupt(tmp_path: Path, stored: object) -> None:
    xorb = a_xorb([os.urandom(5000) for _ in range(600)])
    path = tmp_path / "xorb"
    path.write_bytes(stored(xorb.body))  # type: ignore[operator]
    out = memoryview(bytearray(xorb.index.unpacked))
    with path.open("rb") as file:
        if stored is bytes:
            ChunkReader().read(file.fileno(), Piece("ab" * 32, xorb.index, 0, 600), out)
            assert out == b"".join(xorb.chunks)
        else:
            with pytest.raises(BlobDamaged):
                ChunkReader().read(file.fileno(), Piece("ab" * 32, xorb.index, 0, 600), out)
