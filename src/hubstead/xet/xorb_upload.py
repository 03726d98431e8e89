"""A xorb on its way in: every chunk is checked before anything of it is kept for good.

Where the store is not on this node, a xorb is first written to a file here, and sent on once it has
come whole. To send it while it comes would take some 40 MB of memory for each client that uploads,
for as long as that client takes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hubstead.blobs import BlobKey, BlobStore, BlobWriter
from hubstead.errors import StorageFull
from hubstead.xet.records import Buffer
from hubstead.xet.xorb_parser import Look, XorbParser, XorbRefused
from hubstead.xet.xorbs import XorbIndex

_PIECE_BYTES = 1 << 20


class XorbUpload:
    """Takes the bytes of one xorb. Synchronous: meant for a worker thread, used by one at a time.

    After an error, or when the bytes stop coming, call `abort`.
    """

    def __init__(
        self,
        name: str,
        key: BlobKey,
        store: BlobStore | None = None,
        *,
        aside: Path | None = None,
        look: Look | None = None,
    ) -> None:
        """Expect the xorb called ``name`` (a hash string).

        Args:
            name: What it has to turn out to be.
            key: The blob that it becomes.
            store: Where to write that, if it is to be written.
            aside: Where to write a copy for this node; what is written to ``store`` then comes
                from there.
            look: Is shown every chunk, see `XorbParser`.

        Raises:
            InvalidInput: ``name`` is no hash string.
            StorageFull: there is no room.
        """
        self.name = name
        self.key = key
        self.index: XorbIndex | None = None  # once the bytes are durable
        self.aside = aside
        self.damaged: str | None = None  # the blob of the same xorb that this replaces
        self._checked: XorbIndex | None = None
        self._received = 0
        self._receiver = XorbParser(name, self._keep, look)
        self._store = store
        self._writer: BlobWriter | None = None
        if store is not None and aside is None:
            self._writer = store.writer(key, _CheckedAlready())
        self._aside_fd: int | None = None

    def feed(self, data: Buffer) -> None:
        """Take the next bytes.

        Raises:
            XorbRefused: they are wrong.
            StorageFull: there is no room.
            Unavailable: the store cannot be reached.
        """
        self._received += len(data)
        self._receiver.feed(data)

    def commit(self) -> None:
        """Judge the whole, and make it durable.

        Raises:
            XorbRefused: it is not the xorb of that name; nothing is left behind then.
            StorageFull, Unavailable: as `feed`.
        """
        self._checked = self._receiver.finish()
        self._close_aside()
        if self._store is not None:
            if self._writer is None:
                self._writer = self._sent_on(self._store, self._checked.size)
            self._writer.commit()
            self.index = self._checked

    def _sent_on(self, store: BlobStore, size: int) -> BlobWriter:
        assert self.aside is not None, "without a writer there is a file"
        writer = store.writer(self.key, _CheckedAlready(), size=size)
        try:
            with self.aside.open("rb", buffering=0) as file:
                while records := file.read(_PIECE_BYTES):
                    writer.write(records)
        except BaseException:
            writer.abort()
            raise
        return writer

    # -- as the verifier of bytes that are in the store already ------------------------------

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes, as `feed`."""
        self.feed(chunk)

    def finish(self) -> None:
        """Judge the whole.

        Raises:
            XorbRefused: it is not the xorb of that name, or has a footer, which is not kept.
        """
        checked = self._receiver.finish()
        if checked.size != self._received:
            raise XorbRefused(reason="there is more after its chunks")
        self._checked = checked
        self._close_aside()

    def adopted(self) -> None:
        """Note that the bytes that were looked at are durable."""
        self.index = self._checked

    # -- otherwise ---------------------------------------------------------------------------

    def abort(self) -> None:
        """Forget the bytes, leaving nothing. Harmless after `commit` and when repeated."""
        if self._writer is not None:
            self._writer.abort()
        self._close_aside()
        if self.index is None:
            self.drop_aside()

    def drop_aside(self) -> None:
        """Remove the second copy, whoever may have linked it."""
        if self.aside is not None:
            with suppress(OSError):
                self.aside.unlink(missing_ok=True)
            self.aside = None

    def _keep(self, records: Buffer) -> None:
        if self._writer is not None:
            self._writer.write(records if isinstance(records, memoryview) else bytes(records))
        if self.aside is not None:
            try:
                self._write_aside(records)
            except OSError as error:
                self._close_aside()
                self.drop_aside()
                if self._store is not None:
                    raise StorageFull() from error
                # Else it would only have saved fetching the bytes again.

    def _write_aside(self, records: Buffer) -> None:
        assert self.aside is not None
        if self._aside_fd is None:
            self.aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._aside_fd = os.open(self.aside, flags, 0o600)
        view = memoryview(records)
        while view:
            view = view[os.write(self._aside_fd, view) :]

    def _close_aside(self) -> None:
        if self._aside_fd is not None:
            os.close(self._aside_fd)
            self._aside_fd = None


class _CheckedAlready:
    """The verifier of bytes that `XorbParser` has let through."""

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """Have nothing against it."""
