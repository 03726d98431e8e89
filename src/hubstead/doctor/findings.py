"""The input of a check (``Inspection``) and its output (``Finding``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec

from hubstead.blobs import BlobKind, StoredBlob
from hubstead.commits import Storage
from hubstead.ids import now_ms


class Severity(StrEnum):
    """The severity of a finding; values are those of ``doctor --json``."""

    FAULT = "fault"  # something that the database promises is missing or damaged
    WARNING = "warning"  # no data is lost
    LEFTOVER = "litter"  # only takes space; expires


class Finding(msgspec.Struct, frozen=True):
    """A disagreement between the database and stored bytes or git."""

    check: str  # the name of the check
    severity: Severity
    subject: str  # models/acme/bert, blob lfs/ab…, job type/subject
    what: str
    hint: str  # how to mend it


@dataclass
class Inspection:
    """The hub under inspection. Checks change nothing but the damage marks of blobs.

    Attributes:
        storage: The hub's storage.
        quick: Skip checks that read every object (``git fsck``), and all trees but the newest.
        deep: Read every blob and verify its digest.
        young_ms: Younger bytes without a row may belong to a write in progress and are not
            reported.
        cached_xorb_indexes: The number of xorb indexes in memory, of at most 330 KB each.
        largest_hashed_bytes: The largest Xet file whose hash is computed, which takes 200 bytes
            of memory per chunk.
    """

    storage: Storage
    quick: bool = False
    deep: bool = False
    young_ms: int = 3_600_000
    cached_xorb_indexes: int = 200
    largest_hashed_bytes: int = 64 << 30

    def is_old(self, since_ms: float, *, than_ms: float = 0) -> bool:
        """Return whether a time lies further back than any write takes, and than ``than_ms``."""
        return since_ms < now_ms() - max(self.young_ms, than_ms)

    async def stored(self, kind: BlobKind) -> dict[str, StoredBlob]:
        """Return the blobs of a kind in the store, by stored name."""
        return {blob.key.name: blob async for blob in self.storage.blobs.keys(kind)}


#: Yields findings in a stable order and wording, so that two runs can be compared.
Check: TypeAlias = Callable[[Inspection], AsyncIterator[Finding]]
