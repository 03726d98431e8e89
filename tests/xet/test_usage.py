"""The savings of deduplication, compared with a slow sum."""

from __future__ import annotations

import random
import secrets
from array import array
from dataclasses import dataclass, field

import pytest

from hubstead.accounts import Actor
from hubstead.blobs.tables import blobs, repo_blobs
from hubstead.db import Database, Tx, indexed, insert_into
from hubstead.xet import Term, Terms, XorbIndex, to_raw
from hubstead.xet.tables import xet_file_xorbs, xet_files, xorbs
from hubstead.xet.usage import Batching, terms_bytes, usage_of, usage_of_all
from tests.support.factories import a_repo, a_user
from tests.support.rows import reading

_BLOB = indexed(insert_into(blobs, "kind", "name", "bytes", "created_ms", "reconstructable_ms"))
_LINK = indexed(
    insert_into(repo_blobs, "repo_pk", "kind", "name", "bytes", "committed", "created_ms")
)
_XORB = reading(
    insert_into(
        xorbs,
        "name",
        "blob",
        "bytes",
        "unpacked",
        "chunks",
        "entries",
        "created_ms",
        "touched_ms",
    ).returning(xorbs.c.pk)
)
_FILE = reading(
    insert_into(
        xet_files, "name", "sha256", "bytes", "terms", "created_ms", "touched_ms"
    ).returning(xet_files.c.pk)
)
_NEEDS = indexed(insert_into(xet_file_xorbs, "file_pk", "xorb_pk"))


@dataclass
class XetRows:
    """Xorbs, files and links as rows, and the chunks of every file as a set."""

    db: Database
    anna: Actor
    xorbs: list[tuple[int, str, XorbIndex]] = field(default_factory=list)
    chunks: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    plain: dict[str, int] = field(default_factory=dict)
    links: dict[int, set[str]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    async def add_xorb(self, records: list[int]) -> None:
        ends, offsets = array("I", (0,)), array("I", (0,))
        for size in records:
            ends.append(ends[-1] + size)
            offsets.append(offsets[-1] + 2 * size)
        index = XorbIndex(secrets.token_bytes(32 * len(records)), ends, offsets)
        name = secrets.token_hex(32)
        facts = {
            "name": name,
            "blob": secrets.token_hex(32),
            "bytes": index.size,
            "unpacked": index.unpacked,
            "chunks": len(index),
            "entries": index.pack(),
            "created_ms": 1,
            "touched_ms": 1,
        }

        async def add(tx: Tx) -> int:
            row = await tx.one(_XORB, **facts)
            assert row is not None
            return int(row.pk)

        self.xorbs.append((await self.db.write(add), name, index))

    async def add_file(self, spans: list[tuple[int, int, int]], sha256: str | None = None) -> str:
        """Add a file of chunks ``(xorb, start, end)``."""
        sha256 = sha256 or secrets.token_hex(32)
        parts = [(self.xorbs[number], start, end) for number, start, end in spans]
        terms = Terms.of(
            Term(to_raw(name), start, end, index.length(start, end))
            for (_, name, index), start, end in parts
        )

        async def add(tx: Tx) -> None:
            row = await tx.one(
                _FILE,
                name=secrets.token_hex(32),
                sha256=sha256,
                bytes=terms.size,
                terms=terms.pack(),
                created_ms=1,
                touched_ms=1,
            )
            assert row is not None
            for pk in {pk for (pk, _, _), _, _ in parts}:
                await tx.run(_NEEDS, file_pk=row.pk, xorb_pk=pk)
            if sha256 not in self.sizes:
                facts = {"kind": "lfs", "name": sha256, "bytes": terms.size, "created_ms": 1}
                await tx.run(_BLOB, **facts, reconstructable_ms=0)

        await self.db.write(add)
        self.sizes[sha256] = terms.size
        for number, start, end in spans:
            self.chunks.setdefault(sha256, set()).update((number, at) for at in range(start, end))
        return sha256

    async def add_plain(self, size: int) -> str:
        sha256 = secrets.token_hex(32)

        async def add(tx: Tx) -> None:
            facts = {"kind": "lfs", "name": sha256, "bytes": size, "created_ms": 1}
            await tx.run(_BLOB, **facts, reconstructable_ms=None)

        await self.db.write(add)
        self.plain[sha256] = self.sizes[sha256] = size
        return sha256

    async def link(self, repo_pk: int, *names: str) -> None:
        async def add(tx: Tx) -> None:
            for name in names:
                facts = {"repo_pk": repo_pk, "kind": "lfs", "name": name, "created_ms": 1}
                await tx.run(_LINK, **facts, bytes=self.sizes[name], committed=1)

        await self.db.write(add)
        self.links.setdefault(repo_pk, set()).update(names)

    # -- the slow sum ----------------------------------------------------------------------

    def taken(self, repo_pk: int) -> dict[object, int]:
        """Return every chunk and plain file that a repository needs, with its stored bytes."""
        taken: dict[object, int] = {}
        for name in self.links.get(repo_pk, ()):
            if name in self.plain:
                taken[name] = self.plain[name]
            for number, at in self.chunks.get(name, ()):
                first, stop = self.xorbs[number][2].span(at, at + 1)
                taken[(number, at)] = stop - first
        return taken

    def expected(self, repo_pk: int, others: set[int]) -> tuple[int, int, int, dict[int, int]]:
        own = self.taken(repo_pk)
        with_whom: dict[int, int] = {}
        shared: set[object] = set()
        for other in others - {repo_pk}:
            both = own.keys() & self.taken(other).keys()
            shared |= both
            if both:
                with_whom[other] = sum(own[chunk] for chunk in both)
        logical = sum(self.sizes[name] for name in self.links.get(repo_pk, ()))
        unique = sum(size for chunk, size in own.items() if chunk not in shared)
        return logical, sum(own.values()), unique, with_whom


@pytest.fixture
def xet_rows(db: Database, run: object) -> XetRows:
    anna: Actor = run(a_user(db, "anna"))  # type: ignore[operator]
    return XetRows(db, anna)


async def test_a_fine_tune_shares_all_unchanged_chunks(xet_rows: XetRows) -> None:
    base = await a_repo(xet_rows.db, xet_rows.anna, "anna/base")
    tuned = await a_repo(xet_rows.db, xet_rows.anna, "anna/tuned")
    await xet_rows.add_xorb([10, 20, 30, 40])
    await xet_rows.add_xorb([5, 5])
    await xet_rows.link(base.pk, await xet_rows.add_file([(0, 0, 4)]))
    await xet_rows.link(tuned.pk, await xet_rows.add_file([(0, 0, 2), (1, 0, 1), (0, 3, 4)]))
    usage = await usage_of(xet_rows.db, tuned.pk)
    assert (usage.files, usage.logical) == (1, 150)
    assert (usage.stored, usage.unique, usage.shared) == (75, 5, 70)
    assert usage.shared_with == {base.pk: 70}
    assert await terms_bytes(xet_rows.db, tuned.pk) == 4 * 44
    assert (await usage_of(xet_rows.db, base.pk)).unique == 30


async def test_a_file_with_two_paths_is_stored_once(xet_rows: XetRows) -> None:
    repo = await a_repo(xet_rows.db, xet_rows.anna)
    await xet_rows.add_xorb([10, 20])
    first = await xet_rows.add_file([(0, 0, 2), (0, 0, 2)])
    await xet_rows.link(repo.pk, first, await xet_rows.add_file([(0, 0, 1)]))
    usage = await usage_of(xet_rows.db, repo.pk)
    assert (usage.logical, usage.stored, usage.unique) == (140, 30, 30)


async def test_a_repository_without_large_files_uses_no_storage(xet_rows: XetRows) -> None:
    repo = await a_repo(xet_rows.db, xet_rows.anna)
    usage = await usage_of(xet_rows.db, repo.pk)
    assert (usage.files, usage.logical, usage.stored, usage.shared_with) == (0, 0, 0, {})
    assert await usage_of_all(xet_rows.db) == {}
    assert await terms_bytes(xet_rows.db, repo.pk) == 0


async def test_content_shared_only_with_hidden_repositories_counts_as_unique(
    xet_rows: XetRows,
) -> None:
    own = await a_repo(xet_rows.db, xet_rows.anna, "anna/mine")
    secret = await a_repo(xet_rows.db, xet_rows.anna, "anna/secret", private=True)
    open_one = await a_repo(xet_rows.db, xet_rows.anna, "anna/open")
    await xet_rows.add_xorb([10, 20, 30])
    plain = await xet_rows.add_plain(1000)
    whole = await xet_rows.add_file([(0, 0, 3)])
    await xet_rows.link(own.pk, whole, plain)
    await xet_rows.link(secret.pk, whole, plain)
    await xet_rows.link(open_one.pk, await xet_rows.add_file([(0, 0, 1)]))
    queries: list[frozenset[int]] = []

    async def among(repos: frozenset[int]) -> frozenset[int]:
        queries.append(repos)
        return repos & {open_one.pk}

    usage = await usage_of(xet_rows.db, own.pk, among=among)
    assert usage.shared_with == {open_one.pk: 10}
    assert (usage.stored, usage.unique) == (1060, 1050)
    assert sorted(pk for pks in queries for pk in pks) == [secret.pk, open_one.pk]


@pytest.mark.parametrize("seed", range(4))
async def test_the_usage_equals_the_sum_over_chunks(xet_rows: XetRows, seed: int) -> None:
    few = Batching(xorbs=2, terms_bytes=200, page=3)
    chance = random.Random(seed)
    repos = [(await a_repo(xet_rows.db, xet_rows.anna, f"anna/r{n}")).pk for n in range(5)]
    for _ in range(7):
        await xet_rows.add_xorb([chance.randint(1, 99) for _ in range(chance.randint(1, 40))])
    names = [await xet_rows.add_plain(chance.randint(1, 999)) for _ in range(5)]
    for _ in range(30):
        spans = []
        for _ in range(chance.randint(1, 6)):
            number = chance.randrange(7)
            start = chance.randrange(len(xet_rows.xorbs[number][2]))
            end = chance.randint(start + 1, len(xet_rows.xorbs[number][2]))
            spans.append((number, start, end))
        names.append(await xet_rows.add_file(spans))
    for repo_pk in repos:
        await xet_rows.link(repo_pk, *chance.sample(names, chance.randint(0, 12)))
    whole_hub = await usage_of_all(xet_rows.db, batching=few)
    for repo_pk in repos:
        usage = await usage_of(xet_rows.db, repo_pk, batching=few)
        actual = (usage.logical, usage.stored, usage.unique, usage.shared_with)
        assert actual == xet_rows.expected(repo_pk, set(repos))
        if usage.files:
            summed = whole_hub[repo_pk]
            assert (summed.logical, summed.stored, summed.unique) == actual[:3]
        else:
            assert repo_pk not in whole_hub


async def test_all_reconstructions_of_one_file_count(xet_rows: XetRows) -> None:
    repo = await a_repo(xet_rows.db, xet_rows.anna)
    await xet_rows.add_xorb([10, 10])
    await xet_rows.add_xorb([20])
    first = await xet_rows.add_file([(0, 0, 2)])
    await xet_rows.add_file([(1, 0, 1)], first)
    await xet_rows.link(repo.pk, first)
    usage = await usage_of(xet_rows.db, repo.pk)
    assert (usage.logical, usage.stored, usage.unique) == (40, 40, 40)
