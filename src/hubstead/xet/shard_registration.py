"""Taking a shard: checking all that it says, then making its files known at one stroke."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from hubstead import blobs
from hubstead.blobs import BlobKind
from hubstead.db import Database, Tx
from hubstead.errors import BlobNotFound, TooLarge
from hubstead.settings import Settings
from hubstead.xet.damage import DamageCheck
from hubstead.xet.eager_hashing import EagerHasher
from hubstead.xet.epochs import Epochs
from hubstead.xet.file_hasher import FileHasher, Progress
from hubstead.xet.files import NewFile, add_files, drop_files, files_of, known_sha256s
from hubstead.xet.hashes import to_text
from hubstead.xet.index import KnownXorb, add_chunks, find_xorbs, touch
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.reader import StoredXorb
from hubstead.xet.shard_check import check
from hubstead.xet.shards import FileEntry, Shard, ShardRefused, XorbEntry
from hubstead.xet.terms import Terms

#: Files made known in one transaction: SQLite lets nobody else write meanwhile.
_FILES = 10_000
#: Chunks that files may have beyond those that clients cut, which have 8 KiB and more. They cost
#: memory, and a shard can name a xorb of tiny ones again and again.
_SPARE_CHUNKS = 1_000_000
_LEAST_CHUNK = 4096
_TOLD = 3

Known = Mapping[bytes, KnownXorb]


class _ShardContent(msgspec.Struct, frozen=True):
    """What a shard says."""

    files: list[FileEntry]  # but for those without bytes
    xorbs: Sequence[XorbEntry]
    names: list[bytes]  # of all xorbs that it speaks of
    entries: dict[str, FileEntry]  # the files by hash string; one may be described twice


class _CheckedFiles(msgspec.Struct, frozen=True):
    """Files, checked, and what they rely on."""

    files: list[NewFile]
    xorbs: list[KnownXorb]
    chunks: list[tuple[bytes, int, int]]  # the first of each file


class _Broken(msgspec.Struct, frozen=True):
    """What was stored of the same bytes and is damaged: files by number, and plain objects."""

    files: dict[int, str]  # the sha256 of each
    plain: frozenset[str]


@dataclass(frozen=True, slots=True)
class ShardRegistration:
    """Takes shards."""

    db: Database
    settings: Settings
    hashes: IndexCache
    places: IndexCache
    hasher: FileHasher
    ahead: EagerHasher
    damage: DamageCheck
    epochs: Epochs

    async def register(
        self, repo_pk: int, pusher_pk: int | None, shard: Shard, progress: Progress | None
    ) -> bool:
        """Check a shard and make its files known; see `XetStore.register`."""
        said = await asyncio.to_thread(_read, shard, self.settings.lfs.max_file_bytes)
        known = await self._known(said.names)
        try:
            firsts = await check(said.files, said.xorbs, known, self.hashes)
            digests = await self._digests(said, known, progress)
        except BlobNotFound:
            raise _missing([]) from None
        broken = await self._broken(set(digests.values()), known)
        news = await asyncio.to_thread(lambda: list(_portions(said, known, firsts, digests)))
        new = False
        for each in news:
            new |= await self.db.write(
                partial(
                    self._make_known, repo_pk=repo_pk, pusher_pk=pusher_pk, new=each, broken=broken
                )
            )
        return new

    async def _broken(self, sha256s: Iterable[str], known: Known) -> _Broken:
        """Return what is stored of these bytes already, and cannot be read as it is stored."""
        wanted = sorted(sha256s)
        files = await files_of(self.db, wanted)
        intact = frozenset(each.blob for each in known.values())
        answers = await self.damage.of_terms([file.terms for _, file in files], intact=intact)
        lost = {
            pk: file.sha256 for (pk, file), damaged in zip(files, answers, strict=True) if damaged
        }
        plain = await blobs.damaged_blobs(self.db, self.damage.store, BlobKind.LFS, wanted)
        return _Broken(lost, plain)

    async def _known(self, names: Sequence[bytes]) -> Known:
        texts = [to_text(name) for name in names]
        found = await find_xorbs(self.db, texts)
        if len(found) < len(texts):
            raise _missing([text for text in texts if text not in found])
        damaged = await self.damage.of_xorbs(found.values())
        if damaged:
            # Clients believe that these are stored, and would not send them again.
            await self.epochs.begin()
            raise _missing([text for text in texts if found[text].blob in damaged])
        return {name: found[text] for name, text in zip(names, texts, strict=True)}

    async def _digests(
        self, said: _ShardContent, known: Known, progress: Progress | None
    ) -> dict[bytes, str]:
        """Return the sha256 of each file: as it is known, or else computed."""
        found = await known_sha256s(self.db, list(said.entries))

        async def locate(xorbs: Sequence[bytes]) -> dict[bytes, StoredXorb]:
            places = await self.places.of(known[xorb].blob for xorb in xorbs)
            return {xorb: StoredXorb(known[xorb].blob, places[known[xorb].blob]) for xorb in xorbs}

        def begun(terms: Terms) -> tuple[hashlib._Hash, int]:
            return self.ahead.begun(terms, lambda xorb: known[xorb].blob)

        unknown = await asyncio.to_thread(_unknown, said, found)
        computed = await self.hasher.digests(unknown, locate, progress, begun)
        return await asyncio.to_thread(_compared, said, found, computed)

    async def _make_known(
        self, tx: Tx, *, repo_pk: int, pusher_pk: int | None, new: _CheckedFiles, broken: _Broken
    ) -> bool:
        there = await touch(tx, new.xorbs, self.settings)
        if len(there) < len(new.xorbs):
            raise _missing([each.name for each in new.xorbs if each.blob not in there])
        sha256s = {each.sha256 for each in new.files}
        await drop_files(tx, [pk for pk, sha256 in broken.files.items() if sha256 in sha256s])
        was_unknown = await add_files(tx, new.files)
        await add_chunks(tx, new.chunks)
        await blobs.register_reconstructable(
            tx,
            repo_pk,
            [(each.sha256, each.bytes) for each in new.files],
            pusher_pk=pusher_pk,
            hold_ms=int(self.settings.blobs.hold_seconds * 1000),
        )
        await blobs.mark_reconstructable(tx, sorted(broken.plain & sha256s))
        return was_unknown


def _read(shard: Shard, max_bytes: int) -> _ShardContent:
    """Read a shard, and refuse one that is made to be much work.

    Raises:
        TooLarge: a file has more than ``max_bytes``.
        ShardRefused: there are far too many chunks.
    """
    said = _ShardContent([each for each in shard.files if len(each.terms)], shard.xorbs, [], {})
    names: dict[bytes, None] = {}
    chunks, most = 0, _SPARE_CHUNKS
    for each in said.files:
        if each.terms.size > max_bytes:
            raise TooLarge(
                what=f"The file {to_text(each.hash)}",
                limit=max_bytes,
                setting="max_lfs_file_bytes",
            )
        for xorb, start, end, size in each.terms:
            names[xorb] = None
            chunks += end - start
            most += size // _LEAST_CHUNK
    if chunks > most:
        raise ShardRefused(reason=f"its files have {chunks} chunks, far too many for their size")
    said.entries.update((to_text(each.hash), each) for each in said.files)
    names |= dict.fromkeys(each.hash for each in said.xorbs)
    said.names.extend(names)
    return said


def _missing(names: Sequence[str]) -> ShardRefused:
    if not names:
        return ShardRefused(reason="a xorb that it uses has just been removed, upload it again")
    told = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" * (len(names) > _TOLD))
    return ShardRefused(reason=f"xorbs that it uses are not stored here: {told}")


def _unknown(said: _ShardContent, found: Mapping[str, str]) -> list[FileEntry]:
    """Return the files whose sha256 is not among those ``found``, having compared the others."""
    for text, sha256 in found.items():
        _compare(said.entries[text], text, sha256)
    return [each for text, each in said.entries.items() if text not in found]


def _compared(
    said: _ShardContent, found: Mapping[str, str], computed: Mapping[bytes, str]
) -> dict[bytes, str]:
    """Return the sha256 of all files, having compared each with what is said of it."""
    digests = {said.entries[text].hash: sha256 for text, sha256 in found.items()} | dict(computed)
    for each in said.files:
        _compare(each, to_text(each.hash), digests[each.hash])
    return digests


def _compare(file: FileEntry, name: str, sha256: str) -> None:
    """Hold what the uploader says of a file against what it is.

    Raises:
        ShardRefused: the sha256 is wrong.
    """
    if file.sha256 is not None and file.sha256 != sha256:
        raise ShardRefused(
            reason=f"the file {name} does not have the sha256 {file.sha256} but {sha256}"
        )


def _portions(
    said: _ShardContent, known: Known, firsts: Mapping[bytes, bytes], digests: Mapping[bytes, str]
) -> Iterable[_CheckedFiles]:
    entries = list(said.entries.items())
    for start in range(0, len(entries), _FILES):
        new = _CheckedFiles([], [], [])
        xorbs: set[bytes] = set()
        for name, each in entries[start : start + _FILES]:
            needed = each.terms.xorbs()
            xorbs.update(needed)
            pks = tuple(known[xorb].pk for xorb in needed)
            new.files.append(NewFile(name, digests[each.hash], each.terms.size, each.terms, pks))
            first = each.terms[0]
            new.chunks.append((firsts[each.hash], known[first.xorb].pk, first.start))
        new.xorbs.extend(known[xorb] for xorb in xorbs)
        yield new
