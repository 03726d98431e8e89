"""Parses and verifies the bytes of a xorb while they arrive."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from hubstead.errors import HubError
from hubstead.xet.footers import MARKER, check_footer, footer_bytes
from hubstead.xet.hashes import chunk_hash, to_raw
from hubstead.xet.records import (
    HEADER_BYTES,
    MAX_CHUNKS,
    MAX_STORED_BYTES,
    MAX_UNPACKED_BYTES,
    Buffer,
    Unpacker,
    read_header,
)
from hubstead.xet.xorbs import XorbIndex

#: Called with the raw hash of a chunk, and the chunk, which is valid during the call only.
ChunkObserver = Callable[[bytes, Buffer], object]


class XorbRefused(HubError):
    """The xorb is refused: {reason}"""

    reason: str


class XorbParser:
    """Verifies the bytes of one xorb and passes its records on.

    It unpacks and hashes every chunk. For one thread at a time; it buffers at most one record and
    one chunk, and must not be used after an error.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Buffer], object],
        on_chunk: ChunkObserver | None = None,
    ) -> None:
        """Expect the xorb called ``name`` (a hash string).

        Args:
            name: The hash that the chunks must give.
            write: Called with verified, whole records, which are valid during the call only. The
                footer that clients before hf_xet 1.1.4 append is not passed on.
            on_chunk: Called with each chunk, before its record is written.

        Raises:
            InvalidInput: ``name`` is no hash string.
        """
        self._name = to_raw(name)
        self._write = write
        self._on_chunk = on_chunk
        self._unpack = Unpacker().unpack
        self._partial = bytearray()  # the beginning of a record
        self._footer: bytearray | None = None
        self._hashes: list[bytes] = []
        self._ends = array("I", (0,))
        self._offsets = array("I", (0,))

    def feed(self, data: Buffer) -> None:
        """Take the next bytes, any number of them; the caller may reuse the buffer.

        Raises:
            XorbRefused: the bytes are wrong. The caller discards what ``write`` received.
        """
        view = memoryview(data)
        if self._partial:
            view = self._complete(view)
        if self._footer is None:
            view = view[self._take(view) :]
        if self._footer is None:
            self._partial += view
        else:
            self._feed_footer(view)

    def finish(self) -> XorbIndex:
        """Verify the whole, and return its index.

        Raises:
            XorbRefused: it is not the xorb of this name, or is incomplete.
        """
        if self._partial:
            raise self._refused("the bytes end in the middle of it")
        if not self._hashes:
            raise XorbRefused(reason="it holds no chunk")
        if self._footer is not None:
            self._check_footer()
        index = XorbIndex(b"".join(self._hashes), self._ends, self._offsets)
        if index.name() != self._name:
            raise XorbRefused(reason="its name is not the one that its chunks give it")
        return index

    def _complete(self, view: memoryview) -> memoryview:
        """Complete the partial record; return the rest of ``view``."""
        record = self._partial
        while view and (missing := self._missing()) > 0:
            record += view[:missing]
            view = view[missing:]
        if self._missing() > 0:
            return view
        self._partial = bytearray()
        self._take(memoryview(record))
        if self._footer is not None:
            self._footer += record
        return view

    def _missing(self) -> int:
        """Return the bytes that the partial record lacks, as far as its header says."""
        size = len(self._partial)
        if size < HEADER_BYTES or self._partial.startswith(MARKER):
            return HEADER_BYTES - size
        return HEADER_BYTES + self._header(self._partial, 0)[0] - size

    def _take(self, view: memoryview) -> int:
        """Verify and write the whole records at the start of ``view``; return their length."""
        at, size = 0, len(view)
        while size - at >= HEADER_BYTES:
            if view[at] == MARKER[0] and view[at : at + len(MARKER)] == MARKER:
                self._footer = bytearray()
                break
            length, scheme, unpacked = self._header(view, at)
            end = at + HEADER_BYTES + length
            if end > size:
                break
            self._add(scheme, view[at + HEADER_BYTES : end], unpacked)
            at = end
        if at:
            self._write(view[:at])
        return at

    def _header(self, view: Buffer, at: int) -> tuple[int, int, int]:
        try:
            header = read_header(view, at)
        except ValueError as fault:
            raise self._refused(str(fault)) from fault
        if len(self._hashes) == MAX_CHUNKS:
            raise XorbRefused(reason=f"it has more than {MAX_CHUNKS} chunks")
        if self._ends[-1] + HEADER_BYTES + header[0] > MAX_STORED_BYTES:
            raise XorbRefused(reason=f"it has more than {MAX_STORED_BYTES} bytes")
        if self._offsets[-1] + header[2] > MAX_UNPACKED_BYTES:
            raise XorbRefused(reason=f"its chunks have more than {MAX_UNPACKED_BYTES} bytes")
        return header

    def _add(self, scheme: int, data: memoryview, size: int) -> None:
        try:
            chunk = self._unpack(scheme, data, size)
        except ValueError as fault:
            raise self._refused(str(fault)) from fault
        raw = chunk_hash(chunk)
        if self._on_chunk is not None:
            self._on_chunk(raw, chunk)
        self._hashes.append(raw)
        self._ends.append(self._ends[-1] + HEADER_BYTES + len(data))
        self._offsets.append(self._offsets[-1] + size)

    def _feed_footer(self, view: memoryview) -> None:
        assert self._footer is not None
        if len(self._footer) + len(view) > footer_bytes(1, len(self._hashes)):
            raise XorbRefused(reason="there is more after its footer")
        self._footer += view

    def _check_footer(self) -> None:
        assert self._footer is not None
        try:
            check_footer(self._footer, self._name, len(self._hashes))
        except ValueError as fault:
            raise XorbRefused(reason=str(fault)) from fault

    def _refused(self, reason: str) -> XorbRefused:
        return XorbRefused(reason=f"chunk {len(self._hashes)}: {reason}")
