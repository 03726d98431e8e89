"""One xorb on its way into the blob store; every chunk is verified before the blob is visible.

Where the store is not on this node, the xorb is first written to a local file and sent on once it
is complete. Streaming it would take some 40 MB of memory per uploading client, for as long as the
client takes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hubstead.blobs import BlobKey, BlobStore, BlobWriter
from hubstead.errors import StorageFull
from hubstead.xet.records import Buffer
from hubstead.xet.xorb_parser import ChunkObserver, XorbParser, XorbRefused
from hubstead.xet.xorbs import XorbIndex

_READ_BYTES = 1 << 20


class XorbUpload:
    """Verifies and stores the bytes of one xorb. Synchronous, for one thread at a time.

    Create it with `XetStore.receive_xorb`, which also commits, aborts and registers it.
    """

    def __init__(
        self,
        name: str,
        key: BlobKey,
        store: BlobStore | None = None,
        *,
        local_copy: Path | None = None,
        on_chunk: ChunkObserver | None = None,
    ) -> None:
        """Expect the xorb called ``name`` (a hash string).

        Args:
            name: The hash that the chunks must give.
            key: The blob that the xorb becomes.
            store: The store to write to; None verifies only.
            local_copy: The file for this node's copy; ``store`` is then written from it.
            on_chunk: See `XorbParser`.

        Raises:
            InvalidInput: ``name`` is no hash string.
            StorageFull: the disk is full.
        """
        self.name = name
        self.key = key
        self.index: XorbIndex | None = None  # once the bytes are durable
        self.is_new = False  # once registered: whether these bytes are the ones in use
        self.local_copy = local_copy
        self.replaces: str | None = None  # the damaged blob of the same xorb
        self._verified: XorbIndex | None = None
        self._received = 0
        self._parser = XorbParser(name, self._write, on_chunk)
        self._store = store
        self._writer: BlobWriter | None = None
        if store is not None and local_copy is None:
            self._writer = store.writer(key, _VerifiedAlready())
        self._copy_fd: int | None = None

    def feed(self, data: Buffer) -> None:
        """Take the next bytes.

        Raises:
            XorbRefused: they are wrong.
            StorageFull: the disk is full.
            Unavailable: the store does not answer.
        """
        self._received += len(data)
        self._parser.feed(data)

    def commit(self) -> None:
        """Verify the complete xorb and make it durable.

        Raises:
            XorbRefused: it is not the xorb of this name; nothing stays behind.
            StorageFull, Unavailable: as `feed`.
        """
        self._verified = self._parser.finish()
        self._close_copy()
        if self._store is not None:
            if self._writer is None:
                self._writer = self._send_copy(self._store, self._verified.size)
            self._writer.commit()
            self.index = self._verified

    def _send_copy(self, store: BlobStore, size: int) -> BlobWriter:
        assert self.local_copy is not None, "without a writer there is a file"
        writer = store.writer(self.key, _VerifiedAlready(), size=size)
        try:
            with self.local_copy.open("rb", buffering=0) as file:
                while records := file.read(_READ_BYTES):
                    writer.write(records)
        except BaseException:
            writer.abort()
            raise
        return writer

    # -- the verifier of a direct upload, whose bytes are in the store already ---------------

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes, as `feed`."""
        self.feed(chunk)

    def finish(self) -> None:
        """Verify the complete xorb.

        Raises:
            XorbRefused: it is not the xorb of this name, or has a footer, which would stay.
        """
        verified = self._parser.finish()
        if verified.size != self._received:
            raise XorbRefused(reason="there is more after its chunks")
        self._verified = verified
        self._close_copy()

    def mark_durable(self) -> None:
        """Record that the verified bytes are durable in the store."""
        self.index = self._verified

    # -- clean-up ----------------------------------------------------------------------------

    def abort(self) -> None:
        """Discard the bytes. Has no effect after `commit` and when repeated."""
        if self._writer is not None:
            self._writer.abort()
        self._close_copy()
        if self.index is None:
            self.drop_local_copy()

    def drop_local_copy(self) -> None:
        """Remove the local file; a link to it that the node's cache made stays."""
        if self.local_copy is not None:
            with suppress(OSError):
                self.local_copy.unlink(missing_ok=True)
            self.local_copy = None

    def _write(self, records: Buffer) -> None:
        if self._writer is not None:
            self._writer.write(records if isinstance(records, memoryview) else bytes(records))
        if self.local_copy is not None:
            try:
                self._write_copy(self.local_copy, records)
            except OSError as error:
                self._close_copy()
                self.drop_local_copy()
                if self._store is not None:
                    raise StorageFull() from error
                # Without a store the copy only saves a download.

    def _write_copy(self, path: Path, records: Buffer) -> None:
        if self._copy_fd is None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._copy_fd = os.open(path, flags, 0o600)
        view = memoryview(records)
        while view:
            view = view[os.write(self._copy_fd, view) :]

    def _close_copy(self) -> None:
        if self._copy_fd is not None:
            os.close(self._copy_fd)
            self._copy_fd = None


class _VerifiedAlready:
    """The verifier of bytes that `XorbParser` has passed on."""

    def update(self, chunk: bytes | memoryview) -> None:
        """Accept the next bytes."""

    def finish(self) -> None:
        """Accept the whole."""
