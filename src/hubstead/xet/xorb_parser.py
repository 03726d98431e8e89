"""A xorb that somebody sends: checked while it comes, byte by byte."""

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

#: Is shown the raw hash of a chunk, and the chunk.
Look = Callable[[bytes, Buffer], object]


class XorbRefused(HubError):
    """The xorb is refused: {reason}"""

    reason: str


class XorbParser:
    """Checks the bytes of one xorb and passes its records on.

    Every chunk is unpacked and hashed. Used by one thread at a time; it holds at most one
    record and one chunk, and after an error it is of no more use.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Buffer], object],
        look: Look | None = None,
    ) -> None:
        """Expect the xorb called ``name`` (a hash string) and ``write`` its records.

        What ``write`` gets is whole records that were found right, and may be used only during
        the call. The footer that clients before hf_xet 1.1.4 append is not passed on. Each chunk
        is shown to ``look`` with its raw hash, to be used during the call as well.

        Raises:
            InvalidInput: if ``name`` is no hash string.
        """
        self._name = to_raw(name)
        self._write = write
        self._look = look
        self._unpack = Unpacker().unpack
        self._held = bytearray()  # the beginning of a record
        self._footer: bytearray | None = None
        self._hashes: list[bytes] = []
        self._ends = array("I", (0,))
        self._offsets = array("I", (0,))

    def feed(self, data: Buffer) -> None:
        """Take the next bytes, any number of them; they are not kept beyond the call.

        Raises:
            XorbRefused: as soon as something is wrong. What ``write`` got is to be dropped then.
        """
        view = memoryview(data)
        if self._held:
            view = self._complete(view)
        if self._footer is None:
            view = view[self._take(view) :]
        if self._footer is None:
            self._held += view
        else:
            self._feed_footer(view)

    def finish(self) -> XorbIndex:
        """Judge the whole, and return its index.

        Raises:
            XorbRefused: if it is not the xorb of that name, or not all of it.
        """
        if self._held:
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
        """Add to the record that began earlier until it is whole; return what is left."""
        held = self._held
        while view and (missing := self._missing()) > 0:
            held += view[:missing]
            view = view[missing:]
        if self._missing() > 0:
            return view
        self._held = bytearray()
        self._take(memoryview(held))
        if self._footer is not None:
            self._footer += held
        return view

    def _missing(self) -> int:
        """Return how many bytes the record that began still needs, as far as that is known."""
        size = len(self._held)
        if size < HEADER_BYTES or self._held.startswith(MARKER):
            return HEADER_BYTES - size
        return HEADER_BYTES + self._header(self._held, 0)[0] - size

    def _take(self, view: memoryview) -> int:
        """Check the whole records that ``view`` begins with, write them, return their bytes."""
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
        if self._look is not None:
            self._look(raw, chunk)
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
