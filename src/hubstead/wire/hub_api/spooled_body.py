"""A body received into a temporary file, hashed on its way."""

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
    """A file that has arrived whole."""

    path: Path
    size: int
    sha256: str
    sample: bytes

    def read(self) -> bytes:
        """Return its bytes."""
        return self.path.read_bytes()


@asynccontextmanager
async def receive_file(request: Request) -> AsyncIterator[SpooledBody]:
    """Receive the body into a file that is gone afterwards.

    Raises:
        TooLarge: more than an LFS file may have.
        ClientGone, SlowClient: it did not arrive.
    """
    folder = request.hub.settings.data / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        digest = hashlib.sha256()

        def take(part: memoryview) -> None:
            digest.update(part)
            file.write(part)

        size = await receive_into(
            request.scope,
            request.receive,
            take,
            limit=request.hub.settings.lfs.max_file_bytes,
            setting="max_lfs_file_bytes",
        )
        file.flush()
        sample = os.pread(file.fileno(), SAMPLE_BYTES, 0)
        yield SpooledBody(Path(file.name), size, digest.hexdigest(), sample)
