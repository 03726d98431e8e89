"""Hashes large files while their xorbs arrive, so that the shard need not wait for their sha256.

Nothing before the shard says which xorbs make a file, or in which order. But a client queries the
first chunk of every file that it begins, and sends the xorbs of a large file in order. So a xorb
that begins with such a chunk is hashed while it arrives, and so are the ones that follow it in the
same upload, until another file begins. Xorbs that arrive out of turn are read again in the
background. If the shard names just these xorbs, whole and in this order, only the rest of the file
remains to be hashed; if not, the work was in vain and nothing else happens.

The digests depend on the bytes alone, never on what the client meant by sending them: the blobs of
a chain have names that no other bytes ever have.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hubstead.admission import start_detached
from hubstead.errors import HubError
from hubstead.xet.dedup_shards import is_eligible
from hubstead.xet.records import Buffer
from hubstead.xet.terms import Terms
from hubstead.xet.xorb_parser import ChunkObserver
from hubstead.xet.xorbs import XorbIndex

#: Uploads in memory, and files per upload; a client that sends more files sends small ones.
_UPLOADS = 256
_FIRST_CHUNKS = 1000
#: Digests in memory, 400 bytes per xorb, for 1 TiB of files in all.
_DIGESTS = 16_384
#: Xorbs of an upload that wait for an earlier one, or for the background reader.
_WAITING = 64

#: Updates a digest with all chunks of the xorb in a blob.
ExtendDigest = Callable[["hashlib._Hash", str, XorbIndex], Awaitable[None]]


@dataclass
class _Chain:
    """Consecutive xorbs of one file, and the digest after each."""

    blobs: list[str] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    digests: list[hashlib._Hash] = field(default_factory=list)
    is_used: bool = False  # by a shard: no xorb is added any more

    def digest(self) -> hashlib._Hash:
        """Return a copy of the newest digest."""
        return self.digests[-1].copy() if self.digests else hashlib.sha256()


@dataclass
class _Upload:
    """What one client is sending to one repository."""

    first_chunks: set[bytes] = field(default_factory=set)
    chain: _Chain | None = None  # of all xorbs before number `settled`
    begun: int = 0
    settled: int = 0
    ended: dict[int, XorbObserver] = field(default_factory=dict)  # by number, not settled yet
    reader: asyncio.Task[None] | None = None

    @property
    def is_eager(self) -> bool:
        """Whether the client sends large files, whose first chunks it queried."""
        return 0 < len(self.first_chunks) < _FIRST_CHUNKS and len(self.ended) < _WAITING

    def chain_for(self, index: XorbIndex, before: _Chain | None) -> _Chain | None:
        """Return the chain that a xorb extends: a new one if a file begins with the xorb."""
        begins = [at for at in range(len(index)) if index.hash_at(at) in self.first_chunks]
        if not begins:
            return before
        return _Chain() if begins == [0] else None


class XorbObserver:
    """Observes one arriving xorb; hashes it in the receiving thread if it is the next in turn."""

    def __init__(self, upload: _Upload) -> None:
        self._upload = upload
        self._chunks = 0
        self.number = upload.begun
        self.is_next = upload.begun == upload.settled and upload.is_eager
        # The digest covers this chain and then the chunks observed so far.
        before = upload.chain
        self.chain = before if self.is_next and before and not before.is_used else None
        self.digest = self.chain.digest() if self.chain is not None else None
        self.confirmed: tuple[str, XorbIndex] | None = None

    @property
    def on_chunk(self) -> ChunkObserver | None:
        """The observer of the chunks; None if hashing them now is of no use."""
        return self._hash if self.is_next else None

    def confirm(self, blob: str, index: XorbIndex) -> None:
        """Record that the xorb arrived complete and is stored as this blob."""
        self.confirmed = blob, index

    def _hash(self, raw: bytes, chunk: Buffer) -> None:
        if raw in self._upload.first_chunks:
            self.chain, self.digest = (None, None) if self._chunks else (_Chain(), hashlib.sha256())
        self._chunks += 1
        if self.digest is not None:
            self.digest.update(chunk)


class EagerHasher:
    """Digests of the beginnings of files that no shard has named yet. For one event loop.

    Args:
        extend_digest: Reads xorbs that arrived out of turn.
    """

    def __init__(self, extend_digest: ExtendDigest) -> None:
        self._extend_digest = extend_digest
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()
        self._chains: OrderedDict[str, _Chain] = OrderedDict()  # by their first blob
        self._digests = 0
        self._is_open = True

    async def close(self) -> None:
        """Cancel background reads."""
        self._is_open = False
        readers = [upload.reader for upload in self._uploads.values() if upload.reader is not None]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    def note_query(self, session: str, raw: bytes) -> None:
        """Record a client's query for a chunk, if the chunk must be the first of a file.

        Args:
            session: What all requests of one upload to one repository have in common.
            raw: The raw hash of the chunk.
        """
        if not is_eligible(raw):
            upload = self._upload(session)
            if len(upload.first_chunks) < _FIRST_CHUNKS:
                upload.first_chunks.add(raw)

    @contextmanager
    def observe(self, session: str) -> Iterator[XorbObserver]:
        """Observe one xorb while it arrives; confirm it within the block once it is stored."""
        upload = self._upload(session)
        observer = XorbObserver(upload)
        upload.begun += 1
        try:
            yield observer
        finally:
            upload.ended[observer.number] = observer
            self._settle(upload)

    def partial_digest(
        self, terms: Terms, blob_of: Callable[[bytes], str]
    ) -> tuple[hashlib._Hash, int]:
        """Return the digest of the beginning of a file, and the number of terms it covers.

        Args:
            terms: The terms of the file, at least one.
            blob_of: Returns the blob of a xorb by its raw hash.
        """
        chain = self._chains.get(blob_of(terms[0].xorb), _Chain())
        chain.is_used = True
        count = 0
        for term, blob, chunks in zip(terms, chain.blobs, chain.chunks, strict=False):
            if (blob_of(term.xorb), term.start, term.end) != (blob, 0, chunks):
                break
            count += 1
        return (chain.digests[count - 1].copy() if count else hashlib.sha256()), count

    def _settle(self, upload: _Upload) -> None:
        """Add ended xorbs to chains, in the order in which they began."""
        while upload.reader is None and (observer := upload.ended.pop(upload.settled, None)):
            before, upload.chain = upload.chain, None
            if observer.confirmed is None or not upload.is_eager:
                pass
            elif observer.is_next:
                if observer.chain is not None and observer.digest is not None:
                    upload.chain = self._extend(observer.chain, observer.confirmed, observer.digest)
            else:
                chain = upload.chain_for(observer.confirmed[1], before)
                if chain is not None and not chain.is_used and self._is_open:
                    reading = self._read(upload, chain, observer.confirmed)
                    upload.reader = start_detached(reading)
                    return
            upload.settled += 1

    async def _read(self, upload: _Upload, chain: _Chain, xorb: tuple[str, XorbIndex]) -> None:
        digest = chain.digest()
        try:
            await self._extend_digest(digest, *xorb)
            upload.chain = self._extend(chain, xorb, digest)
        except HubError:
            pass  # the shard that needs this xorb fails with the same error
        finally:
            upload.reader = None
            upload.settled += 1
            self._settle(upload)

    def _upload(self, session: str) -> _Upload:
        upload = self._uploads.setdefault(session, _Upload())
        self._uploads.move_to_end(session)
        if len(self._uploads) > _UPLOADS:
            self._uploads.popitem(last=False)
        return upload

    def _extend(self, chain: _Chain, xorb: tuple[str, XorbIndex], digest: hashlib._Hash) -> _Chain:
        blob, index = xorb
        chain.blobs.append(blob)
        chain.chunks.append(len(index))
        chain.digests.append(digest)
        if len(chain.blobs) == 1:
            self._chains[blob] = chain
        if chain.blobs[0] in self._chains:  # the bound below may have dropped it
            self._digests += 1
        while self._digests > _DIGESTS and len(self._chains) > 1:
            _, oldest = self._chains.popitem(last=False)
            self._digests -= len(oldest.digests)
        return chain
