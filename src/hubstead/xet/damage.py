"""Which xorbs, files and LFS objects cannot be read as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hubstead.blobs import BlobKind, BlobStore, damaged_blobs
from hubstead.db import Reader
from hubstead.xet.files import objects_of
from hubstead.xet.hashes import to_text
from hubstead.xet.index import KnownXorb, find_xorbs
from hubstead.xet.terms import Terms


@dataclass(frozen=True, slots=True)
class DamageCheck:
    """Looks for damage in the store; see `hubstead.blobs.damaged_blobs` for what is damage.

    All methods raise `Unavailable` if the store does not answer.
    """

    db: Reader
    store: BlobStore

    async def of_xorbs(self, known: Iterable[KnownXorb]) -> frozenset[str]:
        """Return the names of the blobs of those xorbs that are damaged."""
        return await damaged_blobs(
            self.db, self.store, BlobKind.XORB, [each.blob for each in known]
        )

    async def of_terms(
        self, wanted: Sequence[Terms], *, intact: frozenset[str] = frozenset()
    ) -> list[bool]:
        """Say for each run of terms whether a xorb that it needs is damaged or not there.

        Xorbs whose blobs are among ``intact`` are not looked at again.
        """
        needed = [{to_text(raw) for raw in terms.xorbs()} for terms in wanted]
        known = await find_xorbs(self.db, list(set().union(*needed)))
        damaged = await self.of_xorbs(each for each in known.values() if each.blob not in intact)
        usable = {name for name, each in known.items() if each.blob not in damaged}
        return [not names <= usable for names in needed]

    async def of_objects(self, sha256s: Sequence[str]) -> frozenset[str]:
        """Return those of the LFS objects that cannot be read, in whichever way they are kept.

        One that has no row is not among them.
        """
        plain: list[str] = []
        terms: dict[str, Terms] = {}
        lost: set[str] = set()
        for sha256, (is_plain, file) in (await objects_of(self.db, sha256s)).items():
            if is_plain:
                plain.append(sha256)
            elif file is None:
                lost.add(sha256)
            else:
                terms[sha256] = file.terms
        answers = await self.of_terms(list(terms.values()))
        lost |= {sha256 for sha256, damaged in zip(terms, answers, strict=True) if damaged}
        return frozenset(lost | await damaged_blobs(self.db, self.store, BlobKind.LFS, plain))
