"""The sha256 of a large file, computed while its xorbs come rather than when its shard does.

Nothing that is sent before the shard says which xorbs make a file, or in which order. But clients
ask about the first chunk of every file that they begin, and send the xorbs of a large one in
order. So a xorb that begins with such a chunk is hashed as it comes, and so are those that begin
to come after it in the same upload, until another file begins. Those that come several at once
are read again, in the background. If the shard names just these xorbs, whole and in this order,
only what is left of the file has to be hashed then; if not, nothing is lost but the work.

What counts in the end is which bytes were hashed, not what a client meant by sending them: the
blobs of a chain have names that no other bytes ever have.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hubstead.errors import HubError
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.records import Buffer
from hubstead.xet.terms import Terms
from hubstead.xet.xorbs import XorbIndex

#: Uploads that are remembered, and files in each; who sends more has small ones.
_UPLOADS = 256
_FIRSTS = 1000
#: Digests begun that are kept, some 400 bytes each: one for each xorb, 1 TiB of files in all.
_STATES = 16_384
#: Xorbs of an upload that wait for one that began before them, or to be read.
_WAITING = 64

#: Goes on with a digest through all chunks of the xorb in a blob.
Read = Callable[["hashlib._Hash", str, XorbIndex], Awaitable[None]]


@dataclass
class _Chain:
    """Xorbs that came one after the other, and the digest after each."""

    blobs: list[str] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    states: list[hashlib._Hash] = field(default_factory=list)
    is_used: bool = False  # by a shard: it has all that it will have

    def state(self) -> hashlib._Hash:
        """Return a copy of the newest digest."""
        return self.states[-1].copy() if self.states else hashlib.sha256()


@dataclass
class _Upload:
    """What one client is sending to one repository."""

    firsts: set[bytes] = field(default_factory=set)
    chain: _Chain | None = None  # of all xorbs before number `done`
    begun: int = 0
    done: int = 0
    ended: dict[int, XorbRun] = field(default_factory=dict)  # by number; those before are not done
    reading: asyncio.Task[None] | None = None

    @property
    def is_hopeful(self) -> bool:
        """Whether the client is sending large files, of which we were asked."""
        return 0 < len(self.firsts) < _FIRSTS and len(self.ended) < _WAITING

    def chain_of(self, index: XorbIndex, before: _Chain | None) -> _Chain | None:
        """Return the chain that a xorb is to be added to: a new one if a file begins with it."""
        begins = [at for at in range(len(index)) if index.hash_at(at) in self.firsts]
        if not begins:
            return before
        return _Chain() if begins == [0] else None


class XorbRun:
    """One xorb that comes; if it is its turn, it is hashed at once, in the thread that takes it."""

    def __init__(self, upload: _Upload) -> None:
        self._upload = upload
        self._chunks = 0
        self.number = upload.begun
        self.is_next = upload.begun == upload.done and upload.is_hopeful
        # What the digest is of: this chain, and then what was taken of this xorb.
        before = upload.chain
        self.chain = before if self.is_next and before and not before.is_used else None
        self.hashed = self.chain.state() if self.chain is not None else None
        self.kept: tuple[str, XorbIndex] | None = None

    @property
    def look(self) -> Callable[[bytes, Buffer], None] | None:
        """What is to see the chunks as they come; None if that is of no use."""
        return self._take if self.is_next else None

    def keep(self, blob: str, index: XorbIndex) -> None:
        """Note that what came is whole, and all that the blob of this name will ever be."""
        self.kept = blob, index

    def _take(self, raw: bytes, chunk: Buffer) -> None:
        if raw in self._upload.firsts:
            self.chain, self.hashed = (None, None) if self._chunks else (_Chain(), hashlib.sha256())
        self._chunks += 1
        if self.hashed is not None:
            self.hashed.update(chunk)


class EagerHasher:
    """Digests begun before it is known which file they are of. For one event loop.

    Args:
        read: Reads xorbs that came out of turn.
    """

    def __init__(self, read: Read) -> None:
        self._read_xorb = read
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()
        self._chains: OrderedDict[str, _Chain] = OrderedDict()  # by their first blob
        self._states = 0
        self._is_open = True

    async def close(self) -> None:
        """Give up what is being read."""
        self._is_open = False
        reading = [each.reading for each in self._uploads.values() if each.reading is not None]
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def asked(self, session: str, raw: bytes) -> None:
        """Note that a client asked about a chunk, if it did because a file begins there.

        Args:
            session: What the requests of one upload to one repository have in common.
            raw: The hash of the chunk.
        """
        if not is_eligible(raw):
            upload = self._upload(session)
            if len(upload.firsts) < _FIRSTS:
                upload.firsts.add(raw)

    @contextmanager
    def coming(self, session: str) -> Iterator[XorbRun]:
        """Give what is to see the xorb that comes now; within the block, it is kept or not."""
        upload = self._upload(session)
        run = XorbRun(upload)
        upload.begun += 1
        try:
            yield run
        finally:
            upload.ended[run.number] = run
            self._settle(upload)

    def begun(self, terms: Terms, blob_of: Callable[[bytes], str]) -> tuple[hashlib._Hash, int]:
        """Return a digest of the beginning of a file, and how many of its terms that is.

        Args:
            terms: Of the file; there are some.
            blob_of: Says where the bytes of a xorb are, by its raw name.
        """
        chain = self._chains.get(blob_of(terms[0].xorb), _Chain())
        chain.is_used = True
        count = 0
        for term, blob, chunks in zip(terms, chain.blobs, chain.chunks, strict=False):
            if (blob_of(term.xorb), term.start, term.end) != (blob, 0, chunks):
                break
            count += 1
        return (chain.states[count - 1].copy() if count else hashlib.sha256()), count

    def _settle(self, upload: _Upload) -> None:
        """Deal with xorbs that have come, in the order in which they began to."""
        while upload.reading is None and (run := upload.ended.pop(upload.done, None)):
            before, upload.chain = upload.chain, None
            if run.kept is None or not upload.is_hopeful:
                pass
            elif run.is_next:
                if run.chain is not None and run.hashed is not None:
                    upload.chain = self._longer(run.chain, run.kept, run.hashed)
            else:
                chain = upload.chain_of(run.kept[1], before)
                if chain is not None and not chain.is_used and self._is_open:
                    reading = self._catch_up(upload, chain, run.kept)
                    upload.reading = asyncio.ensure_future(reading)
                    return
            upload.done += 1

    async def _catch_up(self, upload: _Upload, chain: _Chain, kept: tuple[str, XorbIndex]) -> None:
        hashed = chain.state()
        try:
            await self._read_xorb(hashed, *kept)
            upload.chain = self._longer(chain, kept, hashed)
        except HubError:
            pass  # whoever needs the xorb will hear of it
        finally:
            upload.reading = None
            upload.done += 1
            self._settle(upload)

    def _upload(self, session: str) -> _Upload:
        upload = self._uploads.setdefault(session, _Upload())
        self._uploads.move_to_end(session)
        if len(self._uploads) > _UPLOADS:
            self._uploads.popitem(last=False)
        return upload

    def _longer(self, chain: _Chain, kept: tuple[str, XorbIndex], state: hashlib._Hash) -> _Chain:
        blob, index = kept
        chain.blobs.append(blob)
        chain.chunks.append(len(index))
        chain.states.append(state)
        if len(chain.blobs) == 1:
            self._chains[blob] = chain
        if chain.blobs[0] in self._chains:  # it may have been forgotten meanwhile
            self._states += 1
        while self._states > _STATES and len(self._chains) > 1:
            _, oldest = self._chains.popitem(last=False)
            self._states -= len(oldest.states)
        return chain
