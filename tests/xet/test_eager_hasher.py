"""Digests of large files, computed while their xorbs arrive."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hubstead.errors import BlobNotFound
from hubstead.xet import Term, Terms, XorbIndex, chunk_hash, is_eligible
from hubstead.xet.eager_hasher import EagerHasher, XorbObserver
from tests.support.xet_files import SampleXorb, a_xorb


def contents(seed: object, count: int = 3) -> list[bytes]:
    """Return chunks that no client queries unless a file begins with them."""
    chance = random.Random(str(seed))
    candidates = (chance.randbytes(chance.randrange(40, 90)) for _ in iter(int, 1))
    return [
        next(chunk for chunk in candidates if not is_eligible(chunk_hash(chunk)))
        for _ in range(count)
    ]


@dataclass
class Sent:
    """An upload whose xorbs have their own names as blobs."""

    bytes_of: dict[str, bytes] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    is_lost: bool = False

    def __post_init__(self) -> None:
        self.hasher = EagerHasher(self._read)

    async def _read(self, hashed: hashlib._Hash, blob: str, index: XorbIndex) -> None:
        await asyncio.sleep(0)
        if self.is_lost:
            raise BlobNotFound(name=blob)
        self.read.append(blob)
        assert index.unpacked == len(self.bytes_of[blob])
        hashed.update(self.bytes_of[blob])

    def begins(self, xorb: SampleXorb, chunk: int = 0) -> None:
        self.hasher.note_query("upload", chunk_hash(xorb.chunks[chunk]))

    def send(self, *xorbs: SampleXorb) -> None:
        for xorb in xorbs:
            with self.hasher.observe("upload") as run:
                self.take(run, xorb)

    def take(self, run: XorbObserver, xorb: SampleXorb) -> None:
        on_chunk = run.on_chunk
        for chunk in xorb.chunks if on_chunk else ():
            assert on_chunk is not None
            on_chunk(chunk_hash(chunk), chunk)
        self.bytes_of[xorb.name] = b"".join(xorb.chunks)
        run.confirm(xorb.name, xorb.index)

    def begun(self, *terms: Term) -> int:
        """Return how many terms are hashed already, after a check of the digest."""
        names = {xorb.raw: xorb.name for xorb in ALL}
        hashed, count = self.hasher.partial_digest(Terms.of(terms), lambda raw: names[raw])
        hashed_bytes = b"".join(
            bytes(self.bytes_of[names[term.xorb]]) if whole(term) else b"?"
            for term in terms[:count]
        )
        assert hashed.hexdigest() == hashlib.sha256(hashed_bytes).hexdigest()
        return count


ALL = [a_xorb(contents(at)) for at in range(8)]
BY_RAW = {xorb.raw: xorb for xorb in ALL}


def whole(term: Term) -> bool:
    return (term.start, term.end) == (0, len(BY_RAW[term.xorb].chunks))


def all_of(xorb: SampleXorb) -> Term:
    return xorb.term(0, len(xorb.chunks))


def the_file(*xorbs: SampleXorb) -> list[Term]:
    return [all_of(xorb) for xorb in xorbs]


async def until_caught_up() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Callable[[Sent], object]) -> None:
    async def whole_test() -> None:
        sent = Sent()
        pending = test(sent)
        if asyncio.iscoroutine(pending):
            await pending
        await sent.hasher.close()

    asyncio.run(whole_test())


def test_a_file_uploaded_in_order_is_hashed_at_its_last_xorb() -> None:
    def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.send(*ALL[:3])
        assert sent.begun(*the_file(*ALL[:3])) == 3
        assert sent.begun(*the_file(*ALL[:5])) == 3, "the rest is hashed later"
        assert sent.begun(*the_file(ALL[0], ALL[2], ALL[1])) == 1
        assert sent.begun(all_of(ALL[0]), ALL[1].term(0, 2), all_of(ALL[2])) == 1
        assert sent.begun(ALL[0].term(1, 3), all_of(ALL[1])) == 0
        assert sent.begun(*the_file(*ALL[1:3])) == 0, "no file began there"
        assert not sent.read

    run(test)


def test_xorbs_that_arrive_together_are_read_again_in_their_order() -> None:
    async def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        with ExitStack() as first, ExitStack() as second, ExitStack() as third:
            stacks = (first, second, third)
            runs = [stack.enter_context(sent.hasher.observe("upload")) for stack in stacks]
            for at in (2, 0, 1):
                sent.take(runs[at], ALL[at])
                stacks[at].close()
        await until_caught_up()
        assert sent.begun(*the_file(*ALL[:3])) == 3
        assert sent.read == [ALL[1].name, ALL[2].name]

    run(test)


def test_after_it_caught_up_nothing_is_read_again() -> None:
    async def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        with sent.hasher.observe("upload") as one, sent.hasher.observe("upload") as other:
            sent.take(one, ALL[0])
            sent.take(other, ALL[1])
        await until_caught_up()
        sent.send(ALL[2])
        assert sent.read == [ALL[1].name]
        assert sent.begun(*the_file(*ALL[:3])) == 3

    run(test)


def test_another_file_starts_a_new_chain() -> None:
    def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.begins(ALL[2])
        sent.send(*ALL[:4])
        assert sent.begun(*the_file(*ALL[:3])) == 2
        assert sent.begun(*the_file(*ALL[2:4])) == 2

    run(test)


def test_a_xorb_of_several_files_ends_the_chain() -> None:
    def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.begins(ALL[1], chunk=2)
        sent.send(*ALL[:3])
        assert sent.begun(*the_file(*ALL[:3])) == 1

    run(test)


def test_an_unconfirmed_xorb_ends_the_chain() -> None:
    def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.send(ALL[0])
        with sent.hasher.observe("upload") as lost:
            assert lost.on_chunk is not None
            lost.on_chunk(chunk_hash(b"half"), b"half")
        sent.send(ALL[1])
        assert sent.begun(*the_file(*ALL[:2])) == 1

    run(test)


def test_an_unreadable_xorb_ends_the_chain() -> None:
    async def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.is_lost = True
        with sent.hasher.observe("upload") as one, sent.hasher.observe("upload") as other:
            sent.take(one, ALL[0])
            sent.take(other, ALL[1])
        await until_caught_up()
        sent.send(ALL[2])
        assert sent.begun(*the_file(*ALL[:3])) == 1

    run(test)


def test_small_files_and_unqueried_chunks_are_not_hashed() -> None:
    def test(sent: Sent) -> None:
        with sent.hasher.observe("upload") as unasked:
            assert unasked.on_chunk is None
        for at in range(1000):
            sent.hasher.note_query("upload", at.to_bytes(32, "big"))
        with sent.hasher.observe("upload") as small:
            assert small.on_chunk is None

    run(test)


def test_uploads_are_separate() -> None:
    def test(sent: Sent) -> None:
        sent.begins(ALL[0])
        sent.send(ALL[0])
        with sent.hasher.observe("another") as other:
            sent.take(other, ALL[5])
        sent.send(ALL[1])
        assert sent.begun(*the_file(*ALL[:2])) == 2

    run(test)


@settings(max_examples=300)
@given(st.integers(0, 1 << 32))
def test_a_digest_always_belongs_to_its_bytes(seed: int) -> None:
    """For any client: it begins, sends and stops in any order, and queries at any time."""

    async def test(sent: Sent) -> None:
        chance = random.Random(seed)
        remaining: list[Any] = list(ALL)
        open_runs: list[Any] = []
        while remaining or open_runs:
            step = chance.randrange(5)
            if step == 0:
                sent.begins(chance.choice(ALL), chance.choice((0, 0, 0, 2)))
            elif step < 3 and remaining:
                stack = ExitStack()
                run = stack.enter_context(sent.hasher.observe("upload"))
                open_runs.append((stack, run, remaining.pop(0)))
            elif open_runs:
                stack, run, xorb = open_runs.pop(chance.randrange(len(open_runs)))
                if chance.random() < 0.9:
                    sent.take(run, xorb)
                if chance.random() < 0.3:
                    sent.begins(xorb)
                stack.close()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        for _ in range(9):
            xorbs = ALL[chance.randrange(7) :] if chance.random() < 0.7 else chance.sample(ALL, 4)
            sent.begun(*the_file(*xorbs))

    run(test)
