"""Watches the event loop: how often it was late by more than 50 ms, and for how long."""

from __future__ import annotations

import asyncio

STALL_S = 0.05
#: A stall is measured from the next tick on: ticks are a fraction of what counts as one.
TICK_S = 0.0125


class StallWatch:
    """Counts the stalls of the event loop that runs ``watch``."""

    def __init__(self, *, stall_s: float = STALL_S, tick_s: float = TICK_S) -> None:
        self.count = 0
        self.seconds = 0.0
        self._stall_s = stall_s
        self._tick_s = tick_s

    async def watch(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._tick_s
            await asyncio.sleep(self._tick_s)
            self.note(loop.time() - due)

    def note(self, late_s: float) -> None:
        """Record how late a tick came."""
        if late_s > self._stall_s:
            self.count += 1
            self.seconds += late_s
