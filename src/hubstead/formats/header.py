"""The header of a file, read in growing pieces from its start until it can be parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeAlias, TypeVar

from hubstead.admission import Lane, run_in_lane

H = TypeVar("H")
#: The first bytes of a file; a parser keeps no view of them.
HeaderBytes: TypeAlias = "bytes | bytearray"

#: Bytes of the first read; each further one at least doubles what is there.
FIRST_BYTES = 1 << 20
#: Bytes that are read at most, and so the longest header.
MAX_BYTES = 64 << 20


class UnreadableHeader(Exception):
    """The file is not of this format, is damaged, or exceeds a limit; the text is the reason."""


class IncompleteHeader(Exception):
    """The header is longer than the bytes passed; ``needed`` is how many it takes at least."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"the header needs {needed} bytes")
        self.needed = needed


class HeaderSource(Protocol):
    """Bytes that can be read by range, such as a blob."""

    @property
    def size(self) -> int:
        """The size in bytes."""
        ...

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from offset ``start``."""
        ...


async def read_header(
    source: HeaderSource,
    parse: Callable[[HeaderBytes, int], H],
    *,
    first_bytes: int = FIRST_BYTES,
    max_bytes: int = MAX_BYTES,
) -> H:
    """Return the parsed header of a file; a thread parses it.

    Args:
        source: The file.
        parse: Parses the first bytes of a file, given the file's size as well.
        first_bytes: How many bytes the first read takes.
        max_bytes: How many bytes are read at most.

    Raises:
        UnreadableHeader: by the parser, or the header is longer than the file or ``max_bytes``.
    """
    most = min(source.size, max_bytes)
    data, wanted = bytearray(), min(first_bytes, most)
    while True:
        await _read(source, data, wanted)
        try:
            return await run_in_lane(Lane.READS, parse, data, source.size)
        except IncompleteHeader as incomplete:
            if len(data) < wanted or incomplete.needed > source.size:
                raise UnreadableHeader("the file ends inside its header") from None
            if incomplete.needed > most or len(data) == most:
                raise UnreadableHeader(f"its header exceeds {max_bytes} bytes") from None
            wanted = min(max(incomplete.needed, 2 * len(data)), most)


async def _read(source: HeaderSource, data: bytearray, wanted: int) -> None:
    """Read on until ``data`` has ``wanted`` bytes, or the source ends; copy nothing."""
    start = len(data)
    if start < wanted:
        async for chunk in source.chunks(start, wanted - start):
            data += chunk
