"""The progress of a backup or restore, for a display."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Progress:
    """Counts blobs and bytes of one phase, and calls ``report`` on every change."""

    report: Callable[[Progress], object]
    what: str = ""
    blobs: int = 0
    of_blobs: int = 0
    bytes: int = 0
    of_bytes: int = 0

    def begin(self, what: str, of_blobs: int = 0, of_bytes: int = 0) -> None:
        """Start the next phase."""
        self.what, self.of_blobs, self.of_bytes = what, of_blobs, of_bytes
        self.blobs = self.bytes = 0
        self.report(self)

    def add(self, size: int) -> None:
        """Count a finished blob of ``size`` bytes."""
        self.blobs += 1
        self.bytes += size
        self.report(self)
