"""A range of a file on its way into a socket without passing through Python."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import ClientGone

SLICE = 1 << 20  # bytes per wake-up: enough to be fast, small enough to be fair
CAN_SEND_FILES = hasattr(os, "sendfile")

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})


class NotSendable(Exception):
    """The kernel cannot send from this kind of file: copy it instead, from ``offset`` on."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def is_cached(file_fd: int, offset: int, size: int) -> bool:
    """Tell whether the slice's last page is cached, so that sending it cannot wait for a disk."""
    if not _NOWAIT:
        return True
    try:
        os.preadv(file_fd, [bytearray(1)], offset + size - 1, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without the flag; tmpfs is one
    return True


def read_ahead(file_fd: int, offset: int, size: int) -> None:
    """Read a slice, so that it is cached."""
    os.pread(file_fd, size, offset)


class FileSender:
    """Sends ranges of files over one connection, never blocking the event loop.

    Works on a duplicate of the socket, since an event loop does not let others watch a
    descriptor that belongs to a transport. The transport must have nothing left to write.

    Args:
        sock_fd: The socket.
        stall_s: The client is gone when it takes no byte for so long, in seconds.
        is_cached: Tells whether a slice of a file can be sent without waiting for a disk.
        read_ahead: Reads any other slice first; runs in a thread.
    """

    def __init__(
        self,
        sock_fd: int,
        stall_s: float,
        *,
        is_cached: Callable[[int, int, int], bool] = is_cached,
        read_ahead: Callable[[int, int, int], None] = read_ahead,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._out = os.dup(sock_fd)
        self._stall_s = stall_s
        self._is_cached = is_cached
        self._read_ahead = read_ahead
        self._waiter: asyncio.Future[None] | None = None
        self._stopped = False

    def close(self) -> None:
        """Give the duplicate back."""
        os.close(self._out)

    def stop(self) -> None:
        """Make ``send`` end in ClientGone: the connection is lost."""
        self._stopped = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(self, file_fd: int, offset: int, count: int) -> None:
        """Send ``count`` bytes of the file from ``offset``.

        Raises:
            ClientGone: the client closed the connection, or took no byte for ``stall_s``.
            NotSendable: this file needs copying.
            EOFError: the file is shorter than that.
        """
        end = offset + count
        while offset < end:
            if self._stopped:
                raise ClientGone()
            size = min(end - offset, SLICE)
            if not self._is_cached(file_fd, offset, size):
                await run_in_lane(Lane.TRANSFERS, self._read_ahead, file_fd, offset, size)
            sent = self._send_once(file_fd, offset, size)
            offset += sent
            if sent == 0:
                await self._writable()
            elif offset < end:
                await asyncio.sleep(0)

    def _send_once(self, file_fd: int, offset: int, size: int) -> int:
        try:
            sent = os.sendfile(self._out, file_fd, offset, size)
        except BlockingIOError:
            return 0
        except (ConnectionError, TimeoutError) as gone:
            raise ClientGone() from gone
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                raise NotSendable(offset) from error
            raise
        if sent == 0:
            raise EOFError(f"the file ends at {offset}, {size} bytes early")
        return sent

    async def _writable(self) -> None:
        self._waiter = waiter = self._loop.create_future()
        self._loop.add_writer(self._out, _settle, waiter)
        timer = self._loop.call_later(self._stall_s, waiter.cancel)
        try:
            await waiter
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ClientGone() from None
        finally:
            timer.cancel()
            self._loop.remove_writer(self._out)
            self._waiter = None


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
