"""A proxy in front of a PostgreSQL socket that can stop to pass bytes, as a frozen server does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

_NAME = ".s.PGSQL.5432"


class FreezingProxy:
    """Passes bytes while ``thawed`` is set; accepts connections always, as the kernel does."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the bytes of one connection both ways."""
        await self.thawed.wait()
        there = await asyncio.open_unix_connection(self._target / _NAME)
        try:
            await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for out in (writer, there[1]):
                out.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.thawed.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


@contextlib.asynccontextmanager
async def freezing_proxy(target: Path, folder: Path) -> AsyncIterator[FreezingProxy]:
    """Run a proxy to the server whose socket is in ``target``; its own is in ``folder``."""
    proxy = FreezingProxy(target)
    server = await asyncio.start_unix_server(proxy.serve, folder / _NAME)
    try:
        yield proxy
    finally:
        proxy.thawed.set()
        server.close()
