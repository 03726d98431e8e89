"""pkt-lines: the frames of git's protocol (``gitprotocol-common``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hubstead.errors import InvalidInput

FLUSH = b"0000"
#: Bytes of the longest packet, its four length digits included.
LONGEST = 65520
_BAND = LONGEST - 5


def packet(content: bytes | str) -> bytes:
    """Frame one packet."""
    data = content.encode() if isinstance(content, str) else content
    return b"%04x%b" % (len(data) + 4, data)


def lines(texts: Iterable[str]) -> bytes:
    """Frame texts as lines, one packet per line."""
    return b"".join(packet(f"{text}\n") for text in texts)


def band(number: int, data: bytes) -> Iterator[bytes]:
    """Frame data for one band of the side-band: 1 for the answer, 2 for progress messages."""
    for at in range(0, len(data), _BAND):
        yield packet(bytes([number]) + data[at : at + _BAND])


class Packets:
    """Parses packets from a stream.

    A packet is ``None`` for a flush, ``b""`` for a delimiter. ``rest`` holds the bytes that are not
    parsed yet, such as a pack behind the flush.
    """

    def __init__(self, limit: int) -> None:
        self.rest = b""
        self._limit = limit
        self._received = 0

    def take(self, data: bytes) -> None:
        """Append bytes of the stream.

        Raises:
            InvalidInput: the stream exceeds the limit before a flush.
        """
        self._received += len(data)
        if self._received > self._limit:
            raise InvalidInput(reason="the request has too many packets")
        self.rest += data

    def until_flush(self) -> Iterator[bytes | None]:
        """Yield the complete packets up to and including the next flush.

        Raises:
            InvalidInput: a length is not one of a pkt-line.
        """
        at = 0
        try:
            while len(self.rest) - at >= 4:
                size = _length(self.rest[at : at + 4])
                if size == 0:
                    at += 4
                    yield None
                    return
                if size < 4:
                    at += 4
                    yield b""
                    continue
                if len(self.rest) - at < size:
                    return
                at += size
                yield self.rest[at - size + 4 : at]
        finally:
            self.rest = self.rest[at:]


def _length(digits: bytes) -> int:
    try:
        size = int(digits, 16) if digits.isalnum() else -1
    except ValueError:
        size = -1
    if not 0 <= size <= LONGEST or size == 3:
        raise InvalidInput(reason="the body is not made of git's packets")
    return size


def read_all(body: bytes) -> list[bytes | None]:
    """Parse a whole body; ``None`` stands for a flush, ``b""`` for a delimiter.

    Raises:
        InvalidInput: the body is not made of pkt-lines, or its last packet is incomplete.
    """
    packets = Packets(len(body))
    packets.take(body)
    result: list[bytes | None] = []
    while packets.rest:
        before = len(packets.rest)
        result += packets.until_flush()
        if len(packets.rest) == before:
            raise InvalidInput(reason="the body ends inside of a packet")
    return result
