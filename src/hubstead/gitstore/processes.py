"""Git processes, and reading their output on the event loop.

Processes start in a thread, because a spawn from a large process stalls the loop. Every process
leads its own process group, so that killing it also kills its children.
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

from hubstead.admission import Lane, run_to_the_end

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
    """Start a process in its own process group; call it in a thread."""
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
    """Kill the process group if the process still runs; return the exit status."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return process.wait()


def widen(pipe: int) -> None:
    """Enlarge the buffer of a pipe, so that its two ends block less often."""
    with contextlib.suppress(OSError):  # the system's limit for unprivileged users
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def memory_file(content: bytes = b"") -> BinaryIO:
    """Return an in-memory file, positioned at its start; it works while the disk is full."""
    file = os.fdopen(os.memfd_create("hubstead-git", os.MFD_CLOEXEC), "w+b")
    file.write(content)
    file.seek(0)
    return file


class GitOutput:
    """The standard output of a git process, as an asynchronous stream.

    Args:
        process: The process.
        messages: The file of its standard error; closed at the end.
        on_close: Called when the process has ended.
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
        """Return the next chunk of at most 256 KiB, empty at the end."""
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
        """End the process; return its exit status and its messages."""
        try:
            status = await run_to_the_end(Lane.BACKGROUND, end, self._process)
        finally:
            self._on_close()
        with self._messages as file:
            file.seek(0)
            text = file.read(1 << 16).decode("utf-8", "replace").strip()
        return status, text


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
