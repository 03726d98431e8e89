"""Verifies a shard and registers its files atomically."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from hubstead import blobs
from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKind
from hubstead.db import Database, Tx
from hubstead.errors import BlobDamaged, BlobNotFound, TooLarge
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.damage import DamageCheck
from hubstead.xet.eager_hasher import EagerHasher
from hubstead.xet.epochs import Epochs
from hubstead.xet.file_hasher import FileHasher, Progress
from hubstead.xet.files import NewFile, add_files, drop_files, files_with_content, known_sha256s
from hubstead.xet.hashes import to_text
from hubstead.xet.index import KnownXorb, add_chunks, find_xorbs, renew_xorbs
from hubstead.xet.index_cache import IndexCache
from hubstead.xet.reader import Report, StoredXorb
from hubstead.xet.shard_check import XorbsDiffer, check_shard
from hubstead.xet.shards import FileEntry, Shard, ShardRefused, XorbEntry
from hubstead.xet.terms import Terms
from hubstead.xet.work_units import WorkUnits

#: Chunks that files may have beyond those that clients cut, which have 8 KiB and more. Chunks
#: cost memory, and a shard can name a xorb of tiny ones repeatedly.
_SPARE_CHUNKS = 1_000_000
_LEAST_CHUNK = 4096

KnownXorbs = Mapping[bytes, KnownXorb]


class _ShardContent(msgspec.Struct, frozen=True):
    """The part of a shard that matters."""

    files: list[FileEntry]  # without empty files
    xorbs: Sequence[XorbEntry]
    names: list[bytes]  # raw hashes of all xorbs that the shard mentions
    entries: dict[str, FileEntry]  # the files by hash string; a shard may list one twice


class _VerifiedFiles(msgspec.Struct, frozen=True):
    """Files that one transaction registers, and the rows that they rely on."""

    files: list[NewFile]
    xorbs: list[KnownXorb]
    chunks: list[tuple[bytes, int, int]]  # the first of each file


class _Damage(msgspec.Struct, frozen=True):
    """Damaged rows that have the content of the new files."""

    files: dict[int, str]  # sha256 by pk
    plain: frozenset[str]  # sha256s of plain objects


@dataclass(frozen=True, slots=True)
class ShardRegistration:
    """Registers the files of shards as LFS objects of repositories."""

    db: Database
    settings: XetSettings
    blob_settings: BlobSettings
    max_file_bytes: int
    indexes: IndexCache
    hasher: FileHasher
    eager_hasher: EagerHasher
    damage: DamageCheck
    epochs: Epochs
    units: WorkUnits
    report: Report

    async def register(
        self,
        repo_pk: int,
        pusher_pk: int | None,
        shard: Shard,
        *,
        progress: Progress | None = None,
    ) -> bool:
        """Verify a shard and register its files, as LFS objects that await their commit.

        Everything is verified first, down to the sha256 of every new file; an error registers
        nothing. Empty files are skipped.

        Args:
            repo_pk: The repository.
            pusher_pk: The user who uploads.
            shard: The parsed shard.
            progress: Called with the bytes hashed and the bytes to hash.

        Returns:
            Whether a file is new to the repository.

        Raises:
            ShardRefused: the shard is wrong, or a xorb is missing.
            BlobDamaged: a stored xorb that the files need cannot be read.
            TooLarge: a file is larger than ``max_lfs_file_bytes``.
            Unavailable: the store does not answer, or a row is just being deleted.
            Conflict: the repository is gone.
        """
        content = await run_in_lane(Lane.DIGESTS, _read, shard, self.max_file_bytes)
        known = await self._find_xorbs(content.names)
        try:
            first_chunks = await check_shard(
                content.files, content.xorbs, known, self.indexes, units=self.units
            )
            digests = await self._digests(content, known, progress)
        except BlobNotFound:
            raise XorbsDiffer() from None
        damage = await self._find_damage(set(digests.values()), known)
        batches = await run_in_lane(
            Lane.DIGESTS,
            lambda: list(
                _batches(content, known, first_chunks, digests, self.units.registered_files)
            ),
        )
        is_new = False
        for batch in batches:
            is_new |= await self.db.write(
                self._add, repo_pk=repo_pk, pusher_pk=pusher_pk, batch=batch, damage=damage
            )
        return is_new

    async def _find_damage(self, sha256s: Iterable[str], known: KnownXorbs) -> _Damage:
        wanted = sorted(sha256s)
        files = await files_with_content(self.db, wanted)
        intact = frozenset(xorb.blob for xorb in known.values())
        damage = await self.damage.are_damaged([file.terms for _, file in files], intact=intact)
        lost = {
            pk: file.sha256 for (pk, file), damaged in zip(files, damage, strict=True) if damaged
        }
        plain = await blobs.damaged_blobs(self.db, self.damage.store, BlobKind.LFS, wanted)
        return _Damage(lost, plain)

    async def _find_xorbs(self, raws: Sequence[bytes]) -> KnownXorbs:
        names = [to_text(raw) for raw in raws]
        known = await find_xorbs(self.db, names)
        if len(known) < len(names):
            raise XorbsDiffer()
        damaged = await self.damage.damaged_xorbs(known.values())
        if damaged:
            # Clients cache that these are stored, and would not send them again in this epoch.
            await self.epochs.begin()
            raise XorbsDiffer()
        return {raw: known[name] for raw, name in zip(raws, names, strict=True)}

    async def _digests(
        self, content: _ShardContent, known: KnownXorbs, progress: Progress | None
    ) -> dict[bytes, str]:
        """Return the sha256 of each file: from its row if it is registered, else computed."""
        stored = await known_sha256s(self.db, list(content.entries))

        async def locate(xorbs: Sequence[bytes]) -> dict[bytes, StoredXorb]:
            # With hashes: a wrong byte in the store must not become a wrong sha256 in a row.
            indexes = await self.indexes.get_many(known[xorb].blob for xorb in xorbs)
            return {xorb: StoredXorb(known[xorb].blob, indexes[known[xorb].blob]) for xorb in xorbs}

        def partial_digest(terms: Terms) -> tuple[hashlib._Hash, int]:
            return self.eager_hasher.partial_digest(terms, lambda xorb: known[xorb].blob)

        unknown = await run_in_lane(Lane.DIGESTS, _unknown_files, content, stored)
        try:
            computed = await self.hasher.digests(unknown, locate, progress, partial_digest)
        except BlobDamaged as error:
            self.report(error.blob)
            raise
        return await run_in_lane(Lane.DIGESTS, _all_digests, content, stored, computed)

    async def _add(
        self,
        tx: Tx,
        *,
        repo_pk: int,
        pusher_pk: int | None,
        batch: _VerifiedFiles,
        damage: _Damage,
    ) -> bool:
        remaining = await renew_xorbs(tx, batch.xorbs, self.settings)
        if len(remaining) < len(batch.xorbs):
            raise XorbsDiffer()
        sha256s = {file.sha256 for file in batch.files}
        await drop_files(tx, [pk for pk, sha256 in damage.files.items() if sha256 in sha256s])
        linked = await blobs.linked_many(tx, repo_pk, BlobKind.LFS, sorted(sha256s))
        await add_files(tx, batch.files)
        await add_chunks(tx, batch.chunks)
        await blobs.register_reconstructable(
            tx,
            repo_pk,
            [(file.sha256, file.bytes) for file in batch.files],
            pusher_pk=pusher_pk,
            hold_ms=int(self.blob_settings.hold_seconds * 1000),
        )
        await blobs.mark_reconstructable(tx, sorted(damage.plain & sha256s))
        return len(linked) < len(sha256s)


def _read(shard: Shard, max_bytes: int) -> _ShardContent:
    """Read a shard, and refuse one that is excessively expensive to verify.

    Raises:
        TooLarge: a file has more than ``max_bytes``.
        ShardRefused: the files have far too many chunks for their size.
    """
    content = _ShardContent([file for file in shard.files if len(file.terms)], shard.xorbs, [], {})
    names: dict[bytes, None] = {}
    chunks, most = 0, _SPARE_CHUNKS
    for file in content.files:
        if file.terms.size > max_bytes:
            raise TooLarge(
                what=f"The file {to_text(file.hash)}",
                limit=max_bytes,
                setting="max_lfs_file_bytes",
            )
        for xorb, start, end, size in file.terms:
            names[xorb] = None
            chunks += end - start
            most += size // _LEAST_CHUNK
    if chunks > most:
        raise ShardRefused(reason=f"its files have {chunks} chunks, far too many for their size")
    content.entries.update((to_text(file.hash), file) for file in content.files)
    names |= dict.fromkeys(xorb.hash for xorb in content.xorbs)
    content.names.extend(names)
    return content


def _unknown_files(content: _ShardContent, stored: Mapping[str, str]) -> list[FileEntry]:
    """Return the files that are not registered; verify the claimed sha256 of those that are."""
    for name, sha256 in stored.items():
        _check_claim(content.entries[name], name, sha256)
    return [file for name, file in content.entries.items() if name not in stored]


def _all_digests(
    content: _ShardContent, stored: Mapping[str, str], computed: Mapping[bytes, str]
) -> dict[bytes, str]:
    """Return the sha256 of all files; verify the claimed one of each."""
    digests = {content.entries[name].hash: sha256 for name, sha256 in stored.items()}
    digests |= dict(computed)
    for file in content.files:
        _check_claim(file, to_text(file.hash), digests[file.hash])
    return digests


def _check_claim(file: FileEntry, name: str, sha256: str) -> None:
    """Compare the sha256 that the uploader claims with the true one.

    Raises:
        ShardRefused: they differ.
    """
    if file.sha256 is not None and file.sha256 != sha256:
        raise ShardRefused(
            reason=f"the file {name} does not have the sha256 {file.sha256} but {sha256}"
        )


def _batches(
    content: _ShardContent,
    known: KnownXorbs,
    first_chunks: Mapping[bytes, bytes],
    digests: Mapping[bytes, str],
    most: int,
) -> Iterable[_VerifiedFiles]:
    entries = list(content.entries.items())
    for start in range(0, len(entries), most):
        batch = _VerifiedFiles([], [], [])
        xorbs: set[bytes] = set()
        for name, entry in entries[start : start + most]:
            terms, needed = entry.terms, entry.terms.xorbs()
            xorbs.update(needed)
            pks = tuple(known[xorb].pk for xorb in needed)
            batch.files.append(NewFile(name, digests[entry.hash], terms.size, terms, pks))
            batch.chunks.append((first_chunks[entry.hash], known[terms[0].xorb].pk, terms[0].start))
        batch.xorbs.extend(known[xorb] for xorb in xorbs)
        yield batch
