"""Which xorbs, files and LFS objects cannot be read as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hubstead.blobs import BlobKind, BlobStore, damaged_blobs
from hubstead.db import Database
from hubstead.xet.files import drop_files, files_with_content, locate_objects
from hubstead.xet.hashes import to_text
from hubstead.xet.index import KnownXorb, find_xorbs
from hubstead.xet.terms import Terms


@dataclass(frozen=True, slots=True)
class DamageCheck:
    """Looks for damage in the store; `hubstead.blobs.damaged_blobs` defines damage.

    All methods raise `Unavailable` if the store does not answer.
    """

    db: Database
    store: BlobStore

    async def is_damaged(self, xorb: KnownXorb) -> bool:
        """Return whether the bytes of a xorb are missing, truncated or marked as damaged."""
        return bool(await self.damaged_xorbs([xorb]))

    async def damaged_xorbs(self, xorbs: Iterable[KnownXorb]) -> frozenset[str]:
        """Return the blob names of those of the xorbs that are damaged."""
        return await damaged_blobs(
            self.db, self.store, BlobKind.XORB, [xorb.blob for xorb in xorbs]
        )

    async def are_damaged(
        self, files: Sequence[Terms], *, intact: frozenset[str] = frozenset()
    ) -> list[bool]:
        """Return for the terms of each file whether a xorb that they need is damaged or missing.

        Xorbs whose blobs are among ``intact`` are not checked again.
        """
        needed = [{to_text(raw) for raw in terms.xorbs()} for terms in files]
        known = await find_xorbs(self.db, list(set().union(*needed)))
        damaged = await self.damaged_xorbs(
            xorb for xorb in known.values() if xorb.blob not in intact
        )
        usable = {name for name, xorb in known.items() if xorb.blob not in damaged}
        return [not names <= usable for names in needed]

    async def damaged_objects(self, sha256s: Sequence[str]) -> frozenset[str]:
        """Return those of the LFS objects that cannot be read, plain or from xorbs.

        A client must send such an object again, so no answer may report it as present. Unknown
        objects are not in the result.
        """
        plain: list[str] = []
        terms: dict[str, Terms] = {}
        lost: set[str] = set()
        for sha256, (is_plain, file) in (await locate_objects(self.db, sha256s)).items():
            if is_plain:
                plain.append(sha256)
            elif file is None:
                lost.add(sha256)
            else:
                terms[sha256] = file.terms
        damage = await self.are_damaged(list(terms.values()))
        lost |= {sha256 for sha256, damaged in zip(terms, damage, strict=True) if damaged}
        return frozenset(lost | await damaged_blobs(self.db, self.store, BlobKind.LFS, plain))

    async def drop_damaged_files(self, sha256: str) -> None:
        """Delete the files of an LFS object whose xorbs are damaged; the object is plain by now.

        Otherwise the hub would offer clients files that cannot be read.
        """
        files = await files_with_content(self.db, [sha256])
        damage = await self.are_damaged([file.terms for _, file in files])
        lost = [pk for (pk, _), damaged in zip(files, damage, strict=True) if damaged]
        if lost:
            await self.db.write(drop_files, lost)
