"""Git programs whose output is read on the event loop while they run.

Started in a thread (a spawn from a large process stalls the loop), in a process group of their
own, so that ending one ends what it started as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

_PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 18


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: BinaryIO | int,
    stdout: BinaryIO | int = subprocess.PIPE,
    stderr: BinaryIO | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; call in a thread."""
    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    """Kill a program and all it started, if it still runs; return its status."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return process.wait()


def widen(pipe: int) -> None:
    """Let a pipe hold more, so that its two ends wait less for each other."""
    with contextlib.suppress(OSError):  # the machine's limit for unprivileged users
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def memory_file(content: bytes = b"") -> BinaryIO:
    """Return an open file in memory, at its start: a program can be run while the disk is full."""
    file = os.fdopen(os.memfd_create("hubstead-git", os.MFD_CLOEXEC), "w+b")
    file.write(content)
    file.seek(0)
    return file


class GitOutput:
    """What a git program says, piece by piece, to whoever awaits it.

    Args:
        process: The program.
        messages: Where its messages go; closed at the end.
        on_close: Called when the program has ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        messages: BinaryIO,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        assert process.stdout is not None
        self._process = process
        self._messages = messages
        self._on_close = on_close
        self._fd = process.stdout.fileno()
        os.set_blocking(self._fd, False)
        widen(self._fd)

    async def read(self) -> bytes:
        """Return the next piece of at most 256 KiB, empty at the end."""
        while True:
            try:
                return os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._fd, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._fd)

    async def close(self) -> tuple[int, str]:
        """End the program; return its status and the last of its messages."""
        try:
            status = await asyncio.to_thread(end, self._process)
        finally:
            self._on_close()
        with self._messages as file:
            file.seek(0)
            said = file.read(1 << 16).decode("utf-8", "replace").strip()
        return status, said


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
