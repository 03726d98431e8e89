"""Xorbs and shards in both shapes: what is right is kept, what is wrong leaves nothing."""

from __future__ import annotations

import random

import pytest

from hubstead.errors import HubError
from hubstead.xet import ShardRefused, Term, XorbRefused
from tests.xet.conftest import Place
from tests.xet.making import (
    EMPTY_FILE,
    MadeFile,
    MadeXorb,
    a_file,
    a_shard,
    a_xorb,
    file_entry,
    shard_of,
    xorb_entry,
)


def noise(size: int, seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def chunks(count: int, seed: object, size: int = 9000) -> list[bytes]:
    """Return chunks of which every third can be compressed."""
    return [
        noise(size + at, f"{seed}/{at}") if at % 3 else (f"{seed}/{at};" * size).encode()[: size + at]
        for at in range(count)
    ]


def a_model(seed: object, count: int = 6) -> tuple[MadeFile, MadeXorb]:
    xorb = a_xorb(chunks(count, seed))
    return a_file((xorb, 0, count)), xorb


# -- xorbs -------------------------------------------------------------------------------------


async def test_what_was_uploaded_comes_back(place: Place) -> None:
    first, second = a_xorb(chunks(7, "first")), a_xorb(chunks(4, "second"))
    file = a_file((first, 0, 3), (second, 1, 4), (first, 2, 7), (first, 2, 3), (second, 0, 1))
    await place.upload(file, xorbs=(first, second))
    assert await place.read(file) == file.content


async def test_a_xorb_is_new_once(place: Place) -> None:
    _, xorb = a_model("once")
    assert await place.send(xorb)
    before = await place.traces()
    assert not await place.send(xorb)
    assert await place.traces() == before
