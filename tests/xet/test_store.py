"""Xorbs and shards in both shapes: what is right is kept, what is wrong leaves nothing."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import select

from hubstead.app import opened_stores
from hubstead.blobs import BlobKey, BlobKind, Link, Sha256Verifier, accept_upload, link
from hubstead.blobs.tables import holds
from hubstead.db import Conflict, Tx, scan
from hubstead.errors import BlobCorrupt, BlobNotFound, RangeNotSatisfiable, TooLarge
from hubstead.ids import now_ms
from hubstead.xet import (
    ShardRefused,
    Term,
    XorbRefused,
    chunk_hash,
    find,
    is_eligible,
    range_hash,
    trust,
)
from tests.factories import a_repo
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
from tests.xet.wire_xorbs import footer, record


def noise(size: int, seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def chunks(count: int, seed: object, size: int = 9000) -> list[bytes]:
    """Return chunks of which every third can be compressed."""
    return [
        noise(size + at, f"{seed}/{at}")
        if at % 3
        else (f"{seed}/{at};" * size).encode()[: size + at]
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


async def test_a_footer_of_old_releases_is_not_kept(place: Place) -> None:
    made = chunks(3, "footer")
    xorb = a_xorb(made)
    told = footer(xorb.raw, [record(chunk) for chunk in made], made)
    assert await place.send(xorb, body=xorb.body + told)
    found = await place.xet.find_xorb(xorb.name)
    assert found is not None
    assert found.bytes == await place.stores.blobs.size(found.key) == len(xorb.body)


@pytest.mark.parametrize("known", [False, True])
async def test_a_wrong_xorb_leaves_nothing_even_if_it_is_known(place: Place, known: bool) -> None:
    _, xorb = a_model("wrong")
    if known:
        await place.send(xorb)
    before = await place.traces()
    wrong = bytearray(xorb.body)
    wrong[5000] ^= 1
    for body in (bytes(wrong), xorb.body[:-1], xorb.body + b"more"):
        with pytest.raises(XorbRefused):
            await place.send(xorb, body=body)
        assert await place.traces() == before
    assert await place.send(xorb) is not known


def compressed_otherwise(xorb: MadeXorb) -> bytes:
    return b"".join(record(chunk) for chunk in xorb.chunks)


async def test_two_uploads_that_race_and_compress_differently_are_both_right(place: Place) -> None:
    file, xorb = a_model("race", 9)
    other = compressed_otherwise(xorb)
    assert other != xorb.body
    inserted = await asyncio.gather(
        *(place.send(xorb, body=body) for body in (xorb.body, other) * 3)
    )
    assert sorted(inserted) == [False] * 5 + [True]
    await place.register(file)
    assert await place.read(file) == file.content
    traces = await place.traces()
    assert len(traces["blobs"]) == traces["xorb"] == traces["blob"] - 1 == 1  # type: ignore[arg-type, operator]


async def test_a_xorb_of_a_repository_that_is_gone_is_not_known(place: Place) -> None:
    _, xorb = a_model("gone")
    with pytest.raises(Conflict):
        await place.send(xorb, repo=msgspec.structs.replace(place.repo, pk=999))
    assert await place.xet.find_xorb(xorb.name) is None


# -- shards ------------------------------------------------------------------------------------


async def test_a_file_becomes_an_object_that_waits_for_its_commit(place: Place) -> None:
    file, xorb = a_model("object")
    await place.upload(file, xorbs=(xorb,))
    found = await find(place.stores.db, place.repo.pk, file.sha256)
    assert found is not None
    assert found == type(found)(file.sha256, len(file.content), False, False, file.name)
    held = await place.stores.db.all(scan(select(holds.c.name, holds.c.until_ms)))
    assert [row.name for row in held] == [file.sha256]
    assert held[0].until_ms > now_ms() + 1000 * (place.stores.settings.hold_seconds - 60)


async def test_a_shard_may_come_again_and_to_another_repository(place: Place) -> None:
    file, xorb = a_model("again")
    await place.send(xorb)
    assert await place.register(file, xorbs=(xorb,))
    before = await place.traces()
    assert not await place.register(file, xorbs=(xorb,))
    assert await place.traces() == before
    other = await a_repo(place.stores.db, place.anna, "anna/other")
    assert not await place.register(file, repo=other)
    assert await find(place.stores.db, other.pk, file.sha256)


async def test_a_file_keeps_its_first_terms(place: Place) -> None:
    parts = chunks(6, "terms")
    first, second = a_xorb(parts), a_xorb(parts[2:])
    one = a_file((first, 0, 6))
    two = a_file((first, 0, 2), (second, 0, 4))
    assert one.raw == two.raw
    await place.upload(one, xorbs=(first, second))
    await place.register(two)
    kept = await place.xet.file(one.name)
    assert kept is not None
    assert list(kept.terms) == one.terms


async def test_files_without_a_sha256_get_one(place: Place) -> None:
    file, xorb = a_model("bucket")
    await place.send(xorb)
    await place.take(shard_of([file_entry(file.raw, file.terms, file.range_hashes)]))
    assert await place.read(file) == file.content


async def test_one_sha256_may_have_several_files(place: Place) -> None:
    content = noise(40_000, "several")
    ways = [[content[:9000], content[9000:]], [content[:20_000], content[20_000:]]]
    xorbs = [a_xorb(way) for way in ways]
    files = [a_file((xorb, 0, 2)) for xorb in xorbs]
    assert files[0].raw != files[1].raw
    assert files[0].sha256 == files[1].sha256
    for file, xorb in zip(files, xorbs, strict=True):
        await place.upload(file, xorbs=(xorb,))
        found = await place.xet.file(file.name)
        assert found is not None
        assert b"".join([each async for each in place.xet.open_file(found).chunks()]) == content
    told = await find(place.stores.db, place.repo.pk, files[0].sha256)
    assert told is not None
    assert told.file == files[0].name


async def test_empty_files_are_passed_over(place: Place) -> None:
    before = await place.traces()
    assert not await place.take(shard_of([EMPTY_FILE]))
    assert await place.traces() == before


def entry_of(file: MadeFile, **changes: object) -> bytes:
    told = {name: getattr(file, name) for name in ("raw", "terms", "range_hashes", "sha256")}
    return file_entry(**{**told, **changes})  # type: ignore[arg-type]


GOOD, XORB = a_model("good")
BAD, SECOND = a_model("bad", 5)
NEVER = a_xorb(chunks(3, "never sent"))
SHORT = a_file((XORB, 0, 5))
OTHER_CHUNKS = MadeXorb(NEVER.chunks, XORB.raw, NEVER.body, NEVER.index)
LIES: dict[str, tuple[str, list[bytes], list[bytes]]] = {
    "a sha256 of other bytes": ("sha256", [entry_of(BAD, sha256="ab" * 32)], []),
    "another file's sha256": ("sha256", [entry_of(BAD, sha256=GOOD.sha256)], []),
    "a file hash of other chunks": ("its hash", [entry_of(BAD, raw=GOOD.raw)], []),
    "a range hash of others": ("range hash", [entry_of(BAD, range_hashes=GOOD.range_hashes)], []),
    "a part as the whole": (
        "its hash",
        [entry_of(GOOD, terms=SHORT.terms, range_hashes=SHORT.range_hashes)],
        [],
    ),
    "chunks beyond the end": (
        "term 0",
        [entry_of(BAD, terms=[BAD.terms[0]._replace(end=6)])],
        [],
    ),
    "a byte too many": (
        "term 0",
        [entry_of(BAD, terms=[BAD.terms[0]._replace(bytes=BAD.terms[0].bytes + 1)])],
        [],
    ),
    "a xorb that nobody sent": (
        NEVER.name,
        [entry_of(BAD, terms=[Term(NEVER.raw, 0, 3, NEVER.index.unpacked)])],
        [],
    ),
    "a new xorb that nobody sent": (NEVER.name, [], [xorb_entry(NEVER)]),
    "a xorb of other chunks": ("other chunks", [], [xorb_entry(OTHER_CHUNKS)]),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("case", LIES)
async def test_one_lie_spoils_the_shard_and_leaves_nothing(
    place: Place, case: str, known: bool
) -> None:
    reason, files, xorbs = LIES[case]
    for xorb in (XORB, SECOND):
        await place.send(xorb)
    if known:
        await place.register(GOOD, BAD)
    before = await place.traces()
    for shard in (shard_of(files, xorbs), shard_of([entry_of(GOOD), *files], xorbs)):
        with pytest.raises(ShardRefused, match=reason):
            await place.take(shard)
        assert await place.traces() == before


async def test_a_file_that_is_described_twice_is_checked_twice(place: Place) -> None:
    await place.send(SECOND)
    lie = entry_of(BAD, sha256="ab" * 32)
    for entries in ([entry_of(BAD), lie], [lie, entry_of(BAD)]):
        with pytest.raises(ShardRefused, match="sha256"):
            await place.take(shard_of(entries))
    assert await place.take(shard_of([entry_of(BAD)] * 2))


async def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(place: Place) -> None:
    await place.send(SECOND)
    limited = replace(place.stores.settings, max_lfs_file_bytes=len(BAD.content) - 1)
    small = replace(place, stores=replace(place.stores, settings=limited))
    with pytest.raises(TooLarge, match="max_lfs_file_bytes"):
        await small.register(BAD)


async def test_a_shard_that_is_made_to_be_much_work_is_refused(place: Place) -> None:
    xorb = a_xorb([bytes([at]) for at in range(250)])
    await place.send(xorb)
    term, hashes = xorb.term(0, 250), range_hash(xorb.index.hashes(0, 250))
    with pytest.raises(ShardRefused, match="chunks"):
        await place.take(shard_of([file_entry(bytes([1] * 32), [term] * 5000, hashes * 5000)]))


async def test_files_of_many_xorbs_are_checked_and_read_a_few_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubstead.xet.checking._EFFORT", 4)
    monkeypatch.setattr("hubstead.xet.reading._TERMS", 3)
    monkeypatch.setattr("hubstead.xet.reading._XORBS", 2)
    monkeypatch.setattr("hubstead.xet.reading._OPEN", 2)
    monkeypatch.setattr("hubstead.xet.hashing._UNIT_XORBS", 2)
    monkeypatch.setattr("hubstead.xet.hashing._LANE_BYTES", 1)
    monkeypatch.setattr("hubstead.xet.registering._FILES", 3)
    xorbs = tuple(a_xorb(chunks(3, f"many {at}", 1000)) for at in range(8))
    rng = random.Random(5)
    files = [
        a_file(
            *((rng.choice(xorbs), start, rng.randint(start + 1, 3)) for start in (0, 1, 2, 1, 0))
        )
        for _ in range(10)
    ]
    told: list[tuple[int, int]] = []
    for xorb in xorbs:
        await place.send(xorb)
    assert await place.take(a_shard(files, xorbs), progress=lambda *how: told.append(how))
    size = sum(len(file.content) for file in files)
    assert told[-1] == (size, size)
    assert told == sorted(told)
    for file in files:
        assert await place.read(file) == file.content


async def test_ten_thousand_files_take_a_few_statements_each(place: Place) -> None:
    """Not a round trip per file: what would be minutes on PostgreSQL takes seconds."""
    xorb = a_xorb([noise(40, f"small {at}") for at in range(2000)])
    files = [a_file((xorb, at, at + 1)) for at in range(2000)]
    await place.send(xorb)
    started = time.monotonic()
    assert await place.register(*files)
    assert time.monotonic() - started < 10
    assert await place.read(files[77]) == files[77].content


# -- reading -----------------------------------------------------------------------------------


async def test_every_range_is_exact_also_at_the_edges_of_chunks(place: Place) -> None:
    first, second = a_xorb(chunks(40, "edges", 70_000)), a_xorb(chunks(5, "more", 100))
    file = a_file((second, 0, 5), (first, 0, 40), (second, 2, 3), (first, 3, 9), (second, 0, 2))
    await place.upload(file, xorbs=(first, second))
    size = len(file.content)
    edges = {0, size}
    at = 0
    for term in file.terms:
        index = (first if term.xorb == first.raw else second).index
        for chunk in range(term.start, term.end):
            edges.add(at)
            at += index.length(chunk, chunk + 1)
    near = sorted({min(max(0, edge + by), size) for edge in edges for by in (-1, 0, 1)})
    rng = random.Random(7)
    spans = [sorted(rng.choices(near, k=2)) for _ in range(150)]
    spans += [sorted(rng.choices(range(size + 1), k=2)) for _ in range(50)]
    for start, end in [*spans, [0, size], [size, size], [size - 1, size]]:
        assert await place.read(file, start, end - start) == file.content[start:end]
    for start, count in ((0, size + 1), (size, 1), (-1, 1), (5, -1)):
        with pytest.raises(RangeNotSatisfiable):
            await place.read(file, start, count)


async def test_pieces_are_small_and_many_readers_do_not_meet(place: Place) -> None:
    xorb = a_xorb(chunks(60, "large", 100_000))
    file = a_file((xorb, 0, 60), (xorb, 10, 50))
    await place.upload(file, xorbs=(xorb,))
    source = await place.xet.open_object(file.sha256)
    assert source.size == len(file.content)

    async def read(start: int) -> bool:
        parts = [part async for part in source.chunks(start)]
        assert max(map(len, parts)) <= 1 << 20
        return b"".join(parts) == file.content[start:]

    assert all(await asyncio.gather(*(read(at * 400_000) for at in range(20))))


async def test_a_reader_who_leaves_early_leaves_no_file_open(place: Place) -> None:
    xorb = a_xorb(chunks(60, "leaving", 100_000))
    file = a_file((xorb, 0, 60))
    await place.upload(file, xorbs=(xorb,))
    before = len(os.listdir("/proc/self/fd"))
    source = await place.xet.open_object(file.sha256)
    for _ in range(5):
        parts = source.chunks()
        await anext(parts)
        await parts.aclose()  # type: ignore[attr-defined]
    reading = asyncio.ensure_future(place.read(file))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # connections of the databases come


async def test_a_damaged_store_is_told_and_not_sent(place: Place) -> None:
    file, xorb = a_model("damaged")
    await place.upload(file, xorbs=(xorb,))
    found = await place.xet.find_xorb(xorb.name)
    assert found is not None
    path = await place.xet.cache.path(found.key)
    path.chmod(0o600)
    path.write_bytes(b"\x07" * len(xorb.body))
    with pytest.raises(BlobCorrupt):
        await place.read(file)
    if not place.stores.blobs.gives_paths:  # only this node's copy was: another one is made
        assert await place.read(file) == file.content
        return
    path.write_bytes(xorb.body[:-3])
    with pytest.raises(BlobCorrupt):
        await place.read(file)


async def test_plain_bytes_are_preferred(place: Place) -> None:
    file, xorb = a_model("plain")
    key = BlobKey(BlobKind.LFS, file.sha256)
    await place.stores.blobs.put(key, file.content, Sha256Verifier(key.name))
    await accept_upload(
        place.stores.db,
        place.stores.blobs,
        place.repo.pk,
        key,
        len(file.content),
        pusher_pk=None,
        hold_ms=1000,
    )
    await place.upload(file, xorbs=(xorb,))
    source = await place.xet.open_object(file.sha256)
    assert b"".join([part async for part in source.chunks()]) == file.content
    found = await find(place.stores.db, place.repo.pk, file.sha256)
    assert found is not None
    assert found.is_plain
    assert found.file == file.name


async def test_what_is_not_there_is_told_so(place: Place) -> None:
    with pytest.raises(BlobNotFound):
        await place.xet.open_object("ab" * 32)
    assert await place.xet.file("ab" * 32) is None
    assert await place.xet.find_xorb("ab" * 32) is None


# -- who uses what -----------------------------------------------------------------------------


async def test_chunks_that_clients_ask_for_are_found_with_who_needs_them(place: Place) -> None:
    eligible = next(
        data for at in range(100_000) if is_eligible(chunk_hash(data := b"e%d" % at * 200))
    )
    parts = chunks(6, "asked")
    xorb = a_xorb([*parts, eligible])
    file = a_file((xorb, 2, 4), (xorb, 3, 5))
    await place.upload(file, xorbs=(xorb,))
    xet = place.xet
    found = {at: await xet.holding(chunk_hash(data)) for at, data in enumerate(xorb.chunks)}
    assert [at for at, hits in found.items() if hits] == [2, 6]
    [(known, position)] = found[2]
    assert (known.name, position) == (xorb.name, 2)
    assert await xet.was_sent(place.repo.pk, known)
    assert await xet.users_of(known) == {}  # nothing is committed yet
    assert await xet.users_of(known, only=place.repo.pk) == {place.repo.pk: [(2, 5)]}
    await commit(place, file)
    other = await a_repo(place.stores.db, place.anna, "anna/other")
    await place.register(file, repo=other)
    assert await xet.users_of(known) == {place.repo.pk: [(2, 5)]}
    assert not await xet.was_sent(other.pk, known)
    assert (await xet.index(known)).hashes(0, 7) == xorb.index.hashes(0, 7)


async def commit(place: Place, file: MadeFile) -> None:
    wanted = Link(BlobKey(BlobKind.LFS, file.sha256), len(file.content))

    async def name(tx: Tx) -> None:
        await link(tx, place.repo.pk, [wanted], pusher_pk=None)

    await place.stores.db.write(name)


# -- epochs ------------------------------------------------------------------------------------


async def test_an_epoch_begins_with_the_first_question_and_stays(place: Place) -> None:
    xet = place.xet
    first = await xet.epoch()
    assert await xet.epoch() == first
    again = replace(place.stores).xet  # as another node, or after a restart
    assert await again.epoch() == first
    second = await again.new_epoch()
    assert second != first
    assert await again.epoch() == second
    assert await xet.knows_epoch(second)  # at once, though it was begun elsewhere
    assert await xet.knows_epoch(first)
    assert await xet.epoch() == second
    assert not await xet.knows_epoch("none")


async def test_a_new_epoch_is_given_out_whatever_the_clock_says(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.xet.new_epoch()
    now = trust.now_ms()
    for clock in (now, now, now - 3_600_000):
        monkeypatch.setattr(trust, "now_ms", lambda clock=clock: clock)
        assert await place.xet.new_epoch() == await place.xet.epoch()


# -- restarts ----------------------------------------------------------------------------------


async def test_everything_is_there_after_a_restart(place: Place) -> None:
    file, xorb = a_model("restart")
    await place.upload(file, xorbs=(xorb,))
    epoch = await place.xet.epoch()
    async with opened_stores(place.stores.settings) as stores:
        again = replace(place, stores=stores)
        assert await again.read(file) == file.content
        assert not await again.send(xorb)
        assert not await again.register(file)
        assert await stores.xet.epoch() == epoch


async def test_copies_on_a_node_may_vanish(place: Place) -> None:
    file, xorb = a_model("vanish")
    await place.upload(file, xorbs=(xorb,))
    shutil.rmtree(place.stores.settings.data / "cache", ignore_errors=True)
    assert await place.read(file) == file.content


async def test_a_node_keeps_a_copy_of_what_it_received(place: Place) -> None:
    _, xorb = a_model("offered")
    await place.send(xorb)
    found = await place.xet.find_xorb(xorb.name)
    assert found is not None
    if not place.stores.blobs.gives_paths:
        await place.stores.blobs.delete(found.key)
    assert (await place.xet.cache.path(found.key)).read_bytes() == xorb.body
