"""Files that are sent to a socket without passing through Python."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

from hubstead.http.sendfile import FileSender, read_ahead


async def test_an_uncached_file_is_read_in_a_thread_first(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    path = tmp_path / "file"
    path.write_bytes(content)
    threads = set()

    def read(file_fd: int, offset: int, size: int) -> None:
        threads.add(threading.current_thread())
        read_ahead(file_fd, offset, size)

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    receiver = asyncio.create_task(asyncio.to_thread(receive_all, theirs))
    sender = FileSender(ours.fileno(), 60, is_cached=lambda *_slice: False, read_ahead=read)
    with path.open("rb") as file:
        await sender.send(file.fileno(), 0, len(content))
    sender.close()
    ours.close()
    assert await receiver == content
    assert threads
    assert threading.current_thread() not in threads


def receive_all(source: socket.socket) -> bytes:
    with source, source.makefile("rb") as file:
        return file.read()
