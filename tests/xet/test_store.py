"""Xorbs and shards in both shapes: valid ones are stored, invalid ones leave nothing."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import select

from hubstead.app import open_storage
from hubstead.blobs import BlobKey, BlobKind, Link, Sha256Verifier, link_blobs, register_upload
from hubstead.blobs.tables import holds
from hubstead.db import Conflict, Tx
from hubstead.errors import BlobDamaged, BlobNotFound, RangeNotSatisfiable, TooLarge
from hubstead.ids import now_ms
from hubstead.xet import (
    ShardRefused,
    Term,
    XetStore,
    XorbRefused,
    chunk_hash,
    chunk_users,
    find_file,
    find_lfs_object,
    find_xorb,
    is_eligible,
    range_hash,
    was_uploaded,
    xorbs_containing,
)
from hubstead.xet.expiry import add_epoch
from hubstead.xet.work_units import WorkUnits
from tests.support.factories import a_repo
from tests.support.round_trips import record_calls
from tests.support.rows import reading
from tests.support.xet_files import (
    EMPTY_FILE,
    SampleFile,
    SampleXorb,
    a_file,
    a_shard,
    a_xorb,
    file_entry,
    shard_of,
    xorb_entry,
)
from tests.xet.conftest import XetHub
from tests.xet.wire_xorbs import footer, record


def noise(size: int, seed: object) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def chunks(count: int, seed: object, size: int = 9000) -> list[bytes]:
    """Return chunks of which every third is compressible."""
    return [
        noise(size + at, f"{seed}/{at}")
        if at % 3
        else (f"{seed}/{at};" * size).encode()[: size + at]
        for at in range(count)
    ]


def a_model(seed: object, count: int = 6) -> tuple[SampleFile, SampleXorb]:
    xorb = a_xorb(chunks(count, seed))
    return a_file((xorb, 0, count)), xorb


# -- xorbs -------------------------------------------------------------------------------------


async def test_uploaded_files_are_read_back(hub: XetHub) -> None:
    first, second = a_xorb(chunks(7, "first")), a_xorb(chunks(4, "second"))
    file = a_file((first, 0, 3), (second, 1, 4), (first, 2, 7), (first, 2, 3), (second, 0, 1))
    await hub.upload(file, xorbs=(first, second))
    assert await hub.read(file) == file.content


async def test_only_the_first_upload_of_a_xorb_is_new(hub: XetHub) -> None:
    _, xorb = a_model("once")
    assert await hub.send(xorb)
    before = await hub.traces()
    assert not await hub.send(xorb)
    assert await hub.traces() == before


async def test_a_footer_of_old_releases_is_not_stored(hub: XetHub) -> None:
    contents = chunks(3, "footer")
    xorb = a_xorb(contents)
    trailer = footer(xorb.raw, [record(chunk) for chunk in contents], contents)
    assert await hub.send(xorb, body=xorb.body + trailer)
    row = await find_xorb(hub.stores.db, xorb.name)
    assert row is not None
    assert row.bytes == await hub.stores.blobs.size(row.key) == len(xorb.body)


@pytest.mark.parametrize("known", [False, True])
async def test_an_invalid_xorb_leaves_nothing_even_if_it_is_known(hub: XetHub, known: bool) -> None:
    _, xorb = a_model("wrong")
    if known:
        await hub.send(xorb)
    before = await hub.traces()
    wrong = bytearray(xorb.body)
    wrong[5000] ^= 1
    for body in (bytes(wrong), xorb.body[:-1], xorb.body + b"more"):
        with pytest.raises(XorbRefused):
            await hub.send(xorb, body=body)
        assert await hub.traces() == before
    assert await hub.send(xorb) is not known


def compressed_otherwise(xorb: SampleXorb) -> bytes:
    return b"".join(record(chunk) for chunk in xorb.chunks)


@pytest.mark.shape_matters
async def test_two_racing_uploads_with_different_compression_are_both_valid(hub: XetHub) -> None:
    file, xorb = a_model("race", 9)
    other = compressed_otherwise(xorb)
    assert other != xorb.body
    inserted = await asyncio.gather(*(hub.send(xorb, body=body) for body in (xorb.body, other) * 3))
    assert sorted(inserted) == [False] * 5 + [True]
    await hub.register(file)
    assert await hub.read(file) == file.content
    traces = await hub.traces()
    assert len(traces["blobs"]) == traces["xorb"] == traces["blob"] - 1 == 1  # type: ignore[arg-type, operator]


async def test_a_xorb_for_a_deleted_repository_is_not_registered(hub: XetHub) -> None:
    _, xorb = a_model("deleted")
    with pytest.raises(Conflict):
        await hub.send(xorb, repo=msgspec.structs.replace(hub.repo, pk=999))
    assert await find_xorb(hub.stores.db, xorb.name) is None


# -- shards ------------------------------------------------------------------------------------


async def test_a_file_becomes_a_held_object_until_its_commit(hub: XetHub) -> None:
    file, xorb = a_model("object")
    await hub.upload(file, xorbs=(xorb,))
    lfs_object = await find_lfs_object(hub.stores.db, hub.repo.pk, file.sha256)
    assert lfs_object is not None
    assert lfs_object == type(lfs_object)(file.sha256, len(file.content), False, False, file.name)
    rows = await hub.stores.db.all(reading(select(holds.c.name, holds.c.until_ms)))
    assert [row.name for row in rows] == [file.sha256]
    assert rows[0].until_ms > now_ms() + 1000 * (hub.stores.settings.blobs.hold_seconds - 60)


async def test_a_shard_may_be_sent_again_and_to_another_repository(hub: XetHub) -> None:
    file, xorb = a_model("again")
    await hub.send(xorb)
    assert await hub.register(file, xorbs=(xorb,))
    before = await hub.traces()
    assert not await hub.register(file, xorbs=(xorb,))
    assert await hub.traces() == before
    other = await a_repo(hub.stores.db, hub.anna, "anna/other")
    assert await hub.register(file, repo=other)  # which does not learn that others have it
    assert not await hub.register(file, repo=other)
    assert await find_lfs_object(hub.stores.db, other.pk, file.sha256)


async def test_a_file_retains_its_first_terms(hub: XetHub) -> None:
    parts = chunks(6, "terms")
    first, second = a_xorb(parts), a_xorb(parts[2:])
    one = a_file((first, 0, 6))
    two = a_file((first, 0, 2), (second, 0, 4))
    assert one.raw == two.raw
    await hub.upload(one, xorbs=(first, second))
    await hub.register(two)
    file = await find_file(hub.stores.db, one.name)
    assert file is not None
    assert list(file.terms) == one.terms


async def test_files_without_a_sha256_get_one(hub: XetHub) -> None:
    file, xorb = a_model("bucket")
    await hub.send(xorb)
    await hub.take(shard_of([file_entry(file.raw, file.terms, file.range_hashes)]))
    assert await hub.read(file) == file.content


async def test_one_sha256_may_have_several_files(hub: XetHub) -> None:
    content = noise(40_000, "several")
    ways = [[content[:9000], content[9000:]], [content[:20_000], content[20_000:]]]
    xorbs = [a_xorb(way) for way in ways]
    files = [a_file((xorb, 0, 2)) for xorb in xorbs]
    assert files[0].raw != files[1].raw
    assert files[0].sha256 == files[1].sha256
    for file, xorb in zip(files, xorbs, strict=True):
        await hub.upload(file, xorbs=(xorb,))
        row = await find_file(hub.stores.db, file.name)
        assert row is not None
        assert b"".join([chunk async for chunk in hub.xet.open_file(row).chunks()]) == content
    lfs_object = await find_lfs_object(hub.stores.db, hub.repo.pk, files[0].sha256)
    assert lfs_object is not None
    assert lfs_object.file == files[0].name


async def test_empty_files_are_ignored(hub: XetHub) -> None:
    before = await hub.traces()
    assert not await hub.take(shard_of([EMPTY_FILE]))
    assert await hub.traces() == before


def entry_of(file: SampleFile, **changes: object) -> bytes:
    fields = {name: getattr(file, name) for name in ("raw", "terms", "range_hashes", "sha256")}
    return file_entry(**{**fields, **changes})


GOOD, XORB = a_model("good")
BAD, SECOND = a_model("bad", 5)
NEVER = a_xorb(chunks(3, "never sent"))
SHORT = a_file((XORB, 0, 5))
OTHER_CHUNKS = SampleXorb(NEVER.chunks, XORB.raw, NEVER.body, NEVER.index)
LIES: dict[str, tuple[str, list[bytes], list[bytes]]] = {
    "a sha256 of other bytes": ("sha256", [entry_of(BAD, sha256="ab" * 32)], []),
    "another file's sha256": ("sha256", [entry_of(BAD, sha256=GOOD.sha256)], []),
    "a file hash of other chunks": ("its hash", [entry_of(BAD, raw=GOOD.raw)], []),
    "a range hash of others": ("other chunks", [entry_of(BAD, range_hashes=GOOD.range_hashes)], []),
    "a part as the whole": (
        "its hash",
        [entry_of(GOOD, terms=SHORT.terms, range_hashes=SHORT.range_hashes)],
        [],
    ),
    "chunks beyond the end": (
        "other chunks",
        [entry_of(BAD, terms=[BAD.terms[0]._replace(end=6)])],
        [],
    ),
    "a byte too many": (
        "other chunks",
        [entry_of(BAD, terms=[BAD.terms[0]._replace(bytes=BAD.terms[0].bytes + 1)])],
        [],
    ),
    "a xorb that was not sent": (
        "other chunks",
        [entry_of(BAD, terms=[Term(NEVER.raw, 0, 3, NEVER.index.unpacked)])],
        [],
    ),
    "a new xorb that was not sent": ("other chunks", [], [xorb_entry(NEVER)]),
    "a xorb of other chunks": ("other chunks", [], [xorb_entry(OTHER_CHUNKS)]),
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("case", LIES)
async def test_one_false_entry_invalidates_the_shard_and_leaves_nothing(
    hub: XetHub, case: str, known: bool
) -> None:
    reason, files, xorbs = LIES[case]
    for xorb in (XORB, SECOND):
        await hub.send(xorb)
    if known:
        await hub.register(GOOD, BAD)
    before = await hub.traces()
    for shard in (shard_of(files, xorbs), shard_of([entry_of(GOOD), *files], xorbs)):
        with pytest.raises(ShardRefused, match=reason):
            await hub.take(shard)
        assert await hub.traces() == before


async def test_a_file_with_two_entries_is_checked_twice(hub: XetHub) -> None:
    await hub.send(SECOND)
    wrong = entry_of(BAD, sha256="ab" * 32)
    for entries in ([entry_of(BAD), wrong], [wrong, entry_of(BAD)]):
        with pytest.raises(ShardRefused, match="sha256"):
            await hub.take(shard_of(entries))
    assert await hub.take(shard_of([entry_of(BAD)] * 2))


async def test_a_file_above_the_limit_is_refused_before_it_is_read(hub: XetHub) -> None:
    await hub.send(SECOND)
    limited = hub.stores.settings.replace(max_lfs_file_bytes=len(BAD.content) - 1)
    small = replace(hub, stores=replace(hub.stores, settings=limited))
    with pytest.raises(TooLarge, match="max_lfs_file_bytes"):
        await small.register(BAD)


async def test_a_shard_that_is_expensive_to_check_is_refused(hub: XetHub) -> None:
    xorb = a_xorb([bytes([at]) for at in range(250)])
    await hub.send(xorb)
    term, hashes = xorb.term(0, 250), range_hash(xorb.index.hashes(0, 250))
    with pytest.raises(ShardRefused, match="chunks"):
        await hub.take(shard_of([file_entry(bytes([1] * 32), [term] * 5000, hashes * 5000)]))


def with_units(hub: XetHub, units: WorkUnits) -> XetHub:
    """Return the hub with a store that does so much work at a time."""
    stores = replace(hub.stores)
    settings = stores.settings
    stores.xet = XetStore(
        stores.db,
        stores.blobs,
        hub.xet.cache,
        settings.xet,
        settings.blobs,
        max_file_bytes=settings.lfs.max_file_bytes,
        units=units,
    )
    return replace(hub, stores=stores)


async def test_files_of_many_xorbs_are_checked_and_read_a_few_at_a_time(
    hub: XetHub,
) -> None:
    hub = with_units(
        hub,
        WorkUnits(terms=3, xorbs=2, open_xorbs=2, split_bytes=1, checked=4, registered_files=3),
    )
    xorbs = tuple(a_xorb(chunks(3, f"many {at}", 1000)) for at in range(8))
    rng = random.Random(5)
    files = [
        a_file(
            *((rng.choice(xorbs), start, rng.randint(start + 1, 3)) for start in (0, 1, 2, 1, 0))
        )
        for _ in range(10)
    ]
    reports: list[tuple[int, int]] = []
    for xorb in xorbs:
        await hub.send(xorb)
    assert await hub.take(a_shard(files, xorbs), progress=lambda *how: reports.append(how))
    size = sum(len(file.content) for file in files)
    assert reports[-1] == (size, size)
    assert reports == sorted(reports)
    for file in files:
        assert await hub.read(file) == file.content


async def test_thousands_of_files_are_registered_in_a_few_calls(
    hub: XetHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round trip per file would take minutes on PostgreSQL."""
    xorb = a_xorb([noise(40, f"small {at}") for at in range(2000)])
    files = [a_file((xorb, at, at + 1)) for at in range(2000)]
    await hub.send(xorb)
    calls = await record_calls(hub.stores.db, monkeypatch)
    assert await hub.register(*files)
    assert len(calls) < 100, len(calls)
    assert await hub.read(files[77]) == files[77].content


# -- reads -------------------------------------------------------------------------------------


async def test_every_range_is_exact_even_at_the_edges_of_chunks(hub: XetHub) -> None:
    first, second = a_xorb(chunks(40, "edges", 70_000)), a_xorb(chunks(5, "more", 100))
    file = a_file((second, 0, 5), (first, 0, 40), (second, 2, 3), (first, 3, 9), (second, 0, 2))
    await hub.upload(file, xorbs=(first, second))
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
        assert await hub.read(file, start, end - start) == file.content[start:end]
    for start, count in ((0, size + 1), (size, 1), (-1, 1), (5, -1)):
        with pytest.raises(RangeNotSatisfiable):
            await hub.read(file, start, count)


async def test_pieces_are_small_and_parallel_reads_are_independent(hub: XetHub) -> None:
    xorb = a_xorb(chunks(60, "large", 100_000))
    file = a_file((xorb, 0, 60), (xorb, 10, 50))
    await hub.upload(file, xorbs=(xorb,))
    source = await hub.xet.open_object(file.sha256)
    assert source.size == len(file.content)

    async def read(start: int) -> bool:
        parts = [part async for part in source.chunks(start)]
        assert max(map(len, parts)) <= 1 << 20
        return b"".join(parts) == file.content[start:]

    assert all(await asyncio.gather(*(read(at * 400_000) for at in range(20))))


async def test_a_reader_that_stops_early_leaves_no_file_open(hub: XetHub) -> None:
    xorb = a_xorb(chunks(60, "leaving", 100_000))
    file = a_file((xorb, 0, 60))
    await hub.upload(file, xorbs=(xorb,))
    before = len(os.listdir("/proc/self/fd"))
    source = await hub.xet.open_object(file.sha256)
    for _ in range(5):
        parts = source.chunks()
        await anext(parts)
        await parts.aclose()  # type: ignore[attr-defined]
    reading = asyncio.ensure_future(hub.read(file))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # new connections of the databases


async def test_damaged_bytes_are_reported_and_not_sent(hub: XetHub) -> None:
    file, xorb = a_model("damaged")
    await hub.upload(file, xorbs=(xorb,))
    row = await find_xorb(hub.stores.db, xorb.name)
    assert row is not None
    path = await hub.xet.cache.path(row.key)
    path.chmod(0o600)
    path.write_bytes(b"\x07" * len(xorb.body))
    if hub.stores.blobs.files is None:  # only this node's copy is damaged: it is fetched again
        assert await hub.read(file) == file.content
        return
    with pytest.raises(BlobDamaged):
        await hub.read(file)
    path.write_bytes(xorb.body[:-3])
    with pytest.raises(BlobDamaged):
        await hub.read(file)


async def test_plain_bytes_are_preferred(hub: XetHub) -> None:
    file, xorb = a_model("plain")
    key = BlobKey(BlobKind.LFS, file.sha256)
    await hub.stores.blobs.put(key, file.content, Sha256Verifier(key.name))
    await register_upload(
        hub.stores.db,
        hub.stores.blobs,
        hub.repo.pk,
        key,
        len(file.content),
        pusher_pk=None,
        hold_ms=1000,
    )
    await hub.upload(file, xorbs=(xorb,))
    source = await hub.xet.open_object(file.sha256)
    assert b"".join([part async for part in source.chunks()]) == file.content
    lfs_object = await find_lfs_object(hub.stores.db, hub.repo.pk, file.sha256)
    assert lfs_object is not None
    assert lfs_object.is_plain
    assert lfs_object.file == file.name


async def test_unknown_names_are_reported_as_missing(hub: XetHub) -> None:
    with pytest.raises(BlobNotFound):
        await hub.xet.open_object("ab" * 32)
    assert await find_file(hub.stores.db, "ab" * 32) is None
    assert await find_xorb(hub.stores.db, "ab" * 32) is None


# -- users of chunks ---------------------------------------------------------------------------


async def test_chunks_that_clients_query_are_returned_with_their_users(hub: XetHub) -> None:
    eligible = next(
        data for at in range(100_000) if is_eligible(chunk_hash(data := b"e%d" % at * 200))
    )
    parts = chunks(6, "queried")
    xorb = a_xorb([*parts, eligible])
    file = a_file((xorb, 2, 4), (xorb, 3, 5))
    await hub.upload(file, xorbs=(xorb,))
    xet = hub.xet
    users = {
        at: await xorbs_containing(hub.stores.db, chunk_hash(data))
        for at, data in enumerate(xorb.chunks)
    }
    assert [at for at, hits in users.items() if hits] == [2, 6]
    [(known, position)] = users[2]
    assert (known.name, position) == (xorb.name, 2)
    assert await was_uploaded(hub.stores.db, hub.repo.pk, known)
    assert await chunk_users(hub.stores.db, known) == {}  # nothing is committed yet
    assert await chunk_users(hub.stores.db, known, only=hub.repo.pk) == {hub.repo.pk: [(2, 5)]}
    await commit(hub, file)
    other = await a_repo(hub.stores.db, hub.anna, "anna/other")
    await hub.register(file, repo=other)
    assert await chunk_users(hub.stores.db, known) == {hub.repo.pk: [(2, 5)]}
    assert not await was_uploaded(hub.stores.db, other.pk, known)
    assert (await xet.indexes.get(known.blob)).hashes(0, 7) == xorb.index.hashes(0, 7)


async def commit(hub: XetHub, file: SampleFile) -> None:
    link = Link(BlobKey(BlobKind.LFS, file.sha256), len(file.content))

    async def name(tx: Tx) -> None:
        await link_blobs(tx, hub.repo.pk, [link], pusher_pk=None)

    await hub.stores.db.write(name)


# -- epochs ------------------------------------------------------------------------------------


async def test_an_epoch_begins_with_the_first_query_and_stays(hub: XetHub) -> None:
    xet = hub.xet
    first = await xet.epochs.current()
    assert await xet.epochs.current() == first
    again = replace(hub.stores).xet  # as another node, or after a restart
    assert await again.epochs.current() == first
    second = await again.epochs.begin()
    assert second != first
    assert await again.epochs.current() == second
    assert await xet.epochs.knows(second)  # at once, although another node began it
    assert await xet.epochs.knows(first)
    assert await xet.epochs.current() == second
    assert not await xet.epochs.knows("none")


async def test_a_new_epoch_is_given_out_whatever_the_clock_says(
    hub: XetHub,
) -> None:
    await hub.xet.epochs.begin()
    now = now_ms()
    for clock in (now, now, now - 3_600_000):
        epoch = await hub.stores.db.write(add_epoch, clock)
        assert await hub.xet.epochs.knows(epoch)
        assert await hub.xet.epochs.current() == epoch


# -- restarts ----------------------------------------------------------------------------------


async def test_everything_is_stored_after_a_restart(hub: XetHub) -> None:
    file, xorb = a_model("restart")
    await hub.upload(file, xorbs=(xorb,))
    epoch = await hub.xet.epochs.current()
    async with open_storage(hub.stores.settings) as stores:
        again = replace(hub, stores=stores)
        assert await again.read(file) == file.content
        assert not await again.send(xorb)
        assert not await again.register(file)
        assert await stores.xet.epochs.current() == epoch


async def test_copies_on_a_node_may_be_evicted(hub: XetHub) -> None:
    file, xorb = a_model("vanish")
    await hub.upload(file, xorbs=(xorb,))
    shutil.rmtree(hub.stores.settings.data / "cache", ignore_errors=True)
    assert await hub.read(file) == file.content


async def test_a_node_has_a_copy_of_its_uploads(hub: XetHub) -> None:
    _, xorb = a_model("offered")
    await hub.send(xorb)
    row = await find_xorb(hub.stores.db, xorb.name)
    assert row is not None
    if hub.stores.blobs.files is None:
        await hub.stores.blobs.delete(row.key)
    assert (await hub.xet.cache.path(row.key)).read_bytes() == xorb.body
