"""A proxy in front of a hub that limits the rate of bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

_PIECE = 64 << 10


@contextlib.contextmanager
def slow_proxy(port: int, to_port: int, *, bytes_per_s: float) -> Iterator[None]:
    """Listen on ``port`` and forward to ``to_port``; all connections share the rate.

    The sleeps implement the rate and are no time limit of a test: the transfers are slow by
    construction.
    """
    with socket.create_server(("127.0.0.1", port)) as listening:
        rate = _Rate(bytes_per_s)
        threading.Thread(target=_accept, args=(listening, to_port, rate), daemon=True).start()
        yield
        # close() does not wake a thread that waits in accept().
        listening.shutdown(socket.SHUT_RDWR)


class _Rate:
    def __init__(self, bytes_per_s: float) -> None:
        self._per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def wait(self, count: int) -> None:
        """Wait until ``count`` more bytes may be forwarded."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self._per_s
            due = self._free_at
        time.sleep(max(0.0, due - time.monotonic()))


def _accept(listening: socket.socket, to_port: int, rate: _Rate) -> None:
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", to_port))
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_pass_on, args=(one, other, rate), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket, rate: _Rate) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(_PIECE):
            rate.wait(len(piece))
            other.sendall(piece)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)
