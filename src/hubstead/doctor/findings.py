"""What a check is given and what it may find."""

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
    """How bad it is."""

    FAULT = "fault"  # something that was promised is not there
    WARNING = "warning"  # worth a look; nothing is lost by it
    LITTER = "litter"  # takes room, is removed by age


class Fault(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    check: str  # the name of the check
    severity: Severity
    subject: str  # models/acme/bert, blob lfs/ab…, job type/subject
    what: str
    hint: str  # what to do about it


@dataclass
class Inspection:
    """The hub under examination. Nothing of it is changed, but that damage is marked in its rows.

    Attributes:
        stores: The hub, opened.
        quick: Leave out what reads every object (``git fsck``) or every tree but the newest.
        deep: Read every blob and compare its digest.
        young_ms: Bytes without a row are litter only when older than this: they may belong to
            a write under way.
    """

    stores: Storage
    quick: bool = False
    deep: bool = False
    young_ms: int = 3_600_000

    def is_old(self, since_ms: float, *, than_ms: float = 0) -> bool:
        """Tell whether a time is longer ago than any write takes, and than ``than_ms``."""
        return since_ms < now_ms() - max(self.young_ms, than_ms)

    async def stored(self, kind: BlobKind) -> dict[str, StoredBlob]:
        """Return what the store has of a kind, by name."""
        return {each.key.name: each async for each in self.stores.blobs.keys(kind)}


#: One kind of thing to look at. It yields what it finds, in a stable order and wording.
Check: TypeAlias = Callable[[Inspection], AsyncIterator[Fault]]
