"""Waits for processes and threads, and ends with the parent process."""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def wait_until(condition: Callable[[], object], *, timeout_s: float = 60) -> None:
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)


def wait_for_line(lines: Iterable[str], wanted: str) -> None:
    """Read the output of another program up to the line ``wanted``."""
    assert wanted in (line.rstrip("\n") for line in lines), f"it ended without {wanted!r}"


def die_with_parent() -> None:
    """Make the kernel end this process when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
