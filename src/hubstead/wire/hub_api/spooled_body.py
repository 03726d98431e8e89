"""Receives a request body into a temporary file and hashes it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from hubstead.http import receive_into
from hubstead.wire import Request

SAMPLE_BYTES = 512


@dataclass(frozen=True)
class SpooledBody:
    """A complete request body in a temporary file."""

    path: Path
    size: int
    sha256: str
    sample: bytes

    def read(self) -> bytes:
        """Return the whole body, in memory."""
        return self.path.read_bytes()


@asynccontextmanager
async def receive_file(request: Request) -> AsyncIterator[SpooledBody]:
    """Receive the body into a temporary file, deleted on exit.

    Raises:
        TooLarge: the body exceeds the limit for LFS files.
        ClientGone, SlowClient: the client did not send the whole body.
    """
    folder = request.hub.settings.incoming
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        digest = hashlib.sha256()

        def write(part: memoryview) -> None:
            digest.update(part)
            file.write(part)

        size = await receive_into(
            request.scope,
            request.receive,
            write,
            limit=request.hub.settings.lfs.max_file_bytes,
            setting="max_lfs_file_bytes",
        )
        file.flush()
        sample = os.pread(file.fileno(), SAMPLE_BYTES, 0)
        yield SpooledBody(Path(file.name), size, digest.hexdigest(), sample)
