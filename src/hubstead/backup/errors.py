"""The error of the room."""

from __future__ import annotations

from collections.abc import Sequence


class BackupFault(Exception):
    """Bytes or rows are missing or damaged; ``faults`` has one line per fault."""

    def __init__(self, what: str, faults: Sequence[str]) -> None:
        self.what = what
        self.faults = tuple(faults)
        super().__init__(what)
