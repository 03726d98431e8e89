"""Starts servers, and reads from /proc what their whole process tree uses."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Server:
    """A server process on loopback with all of its children."""

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self.port = port
        self.started = time.perf_counter()
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, timeout_s: float = 120.0) -> float:
        """Wait until it accepts connections; return the seconds since its start."""
        end = self.started + timeout_s
        while time.perf_counter() < end:
            if self._process.poll() is not None:
                raise SystemExit(f"{self._process.args!r} ended by itself: see its log")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.005)
            else:
                return time.perf_counter() - self.started
        raise SystemExit(f"nothing listens on port {self.port}")

    def cpu_s(self) -> float:
        """User and system time of the tree so far, ended children included."""
        return sum(_cpu_s(pid) for pid in _tree(self._process.pid))

    def children(self) -> int:
        """The number of its children, and of theirs."""
        return len(list(_tree(self._process.pid))) - 1

    def rss_mb(self) -> float:
        """Resident memory of the tree, files it maps included."""
        return sum(_rss_bytes(pid) for pid in _tree(self._process.pid)) / 1e6

    def anonymous_mb(self) -> float:
        """The part of resident memory that is not of files."""
        return sum(_rss_bytes(pid, anonymous=True) for pid in _tree(self._process.pid)) / 1e6

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def apart(fn: Callable[..., T], *args: object) -> T:
    """Run ``fn`` in its own process, so that a loader never waits for this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(fn, *args).result()


def _tree(pid: int) -> list[int]:
    pids, fresh = [pid], [pid]
    while fresh:
        above = fresh.pop()
        for children in Path(f"/proc/{above}/task").glob("*/children"):
            try:
                below = [int(text) for text in children.read_text().split()]
            except OSError:
                continue
            pids += below
            fresh += below
    return pids


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def _rss_bytes(pid: int, *, anonymous: bool = False) -> int:
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    except OSError:
        return 0
    return (resident - shared if anonymous else resident) * _PAGE_BYTES
