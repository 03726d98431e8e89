"""What a backup or restore cannot put up with."""

from __future__ import annotations

from collections.abc import Sequence


class BackupFault(Exception):
    """Bytes or rows are not as they should be: ``faults`` says which, a line each."""

    def __init__(self, what: str, faults: Sequence[str]) -> None:
        self.what = what
        self.faults = tuple(faults)
        super().__init__(what)
