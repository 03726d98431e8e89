"""How far a backup or restore has come, for who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Progress:
    """Counts blobs and bytes of one piece of work, and tells each change to ``tell``."""

    tell: Callable[[Progress], object]
    what: str = ""
    blobs: int = 0
    of_blobs: int = 0
    bytes: int = 0
    of_bytes: int = 0

    def begin(self, what: str, of_blobs: int = 0, of_bytes: int = 0) -> None:
        """Start the next piece of work."""
        self.what, self.of_blobs, self.of_bytes = what, of_blobs, of_bytes
        self.blobs = self.bytes = 0
        self.tell(self)

    def add(self, size: int) -> None:
        """Note that a blob is done."""
        self.blobs += 1
        self.bytes += size
        self.tell(self)
