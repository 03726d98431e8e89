"""pkt-lines: how git frames what it says (``gitprotocol-common``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hubstead.errors import InvalidInput

FLUSH = b"0000"
#: The longest packet, its four digits included.
LONGEST = 65520
_BAND = LONGEST - 5


def packet(content: bytes | str) -> bytes:
    """Frame one packet."""
    data = content.encode() if isinstance(content, str) else content
    return b"%04x%b" % (len(data) + 4, data)


def lines(texts: Iterable[str]) -> bytes:
    """Frame each text with a newline behind it."""
    return b"".join(packet(f"{text}\n") for text in texts)


def band(number: int, data: bytes) -> Iterator[bytes]:
    """Frame data for one band of the side-band: 1 the answer, 2 for people to read."""
    for at in range(0, len(data), _BAND):
        yield packet(bytes([number]) + data[at : at + _BAND])


class Packets:
    """Takes bytes as they come and gives packets as they are complete.

    ``None`` is a flush, ``b""`` a delimiter; what comes after a flush is in ``rest`` for who
    wants it raw.
    """

    def __init__(self, limit: int) -> None:
        self.rest = b""
        self._limit = limit
        self._taken = 0

    def take(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            InvalidInput: there are more than the limit without a flush.
        """
        self._taken += len(data)
        if self._taken > self._limit:
            raise InvalidInput(reason="the request has too many packets")
        self.rest += data

    def until_flush(self) -> Iterator[bytes | None]:
        """Yield complete packets up to and with the next flush; the rest stays.

        Raises:
            InvalidInput: this is not pkt-lines.
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
    """Return every packet of a whole body; ``None`` for a flush, ``b""`` for a delimiter.

    Raises:
        InvalidInput: this is not pkt-lines, or the last packet is cut off.
    """
    packets = Packets(len(body))
    packets.take(body)
    found: list[bytes | None] = []
    while packets.rest:
        before = len(packets.rest)
        found += packets.until_flush()
        if len(packets.rest) == before:
            raise InvalidInput(reason="the body ends inside of a packet")
    return found
