"""The bounds of rendering: the length of a source, and the time it may take."""

from __future__ import annotations

import time

from hubstead.admission import checkpoint

#: Longer sources are not rendered.
MAX_SOURCE_CHARACTERS = 1 << 20


class TooSlow(Exception):
    """Rendering would take longer than it may."""


class Deadline:
    """The end of the time that one rendering may take."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Go on, or end.

        Raises:
            TooSlow: the time is over.
        """
        checkpoint()
        if time.monotonic() > self._end:
            raise TooSlow
