"""How much work the store does at a time."""

from __future__ import annotations

import msgspec


class WorkUnits(msgspec.Struct, frozen=True):
    """Sizes of batches. They bound memory and turns of threads, and never change a result."""

    #: Terms whose xorbs one call locates.
    terms: int = 512
    #: Xorbs that a batch reads from.
    xorbs: int = 16
    #: Xorbs that a reader has open.
    open_xorbs: int = 32
    #: A shard with fewer bytes is not worth a second thread, which would hash half of them.
    split_bytes: int = 4 << 20
    #: Work of one batch of checks of a shard: chunks of different xorbs, 40 bytes each, plus terms.
    checked: int = 500_000
    #: Files that one transaction registers: on SQLite every other write waits for it.
    registered_files: int = 10_000


DEFAULT_UNITS = WorkUnits()
