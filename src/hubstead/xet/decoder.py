"""Decodes stored records to chunks."""

from __future__ import annotations

from collections.abc import Iterator

from hubstead.errors import BlobCorrupt
from hubstead.xet.records import HEADER_BYTES, Buffer, Unpacker, read_header


def decode_records(records: Buffer) -> Iterator[Buffer]:
    """Yield the chunks of whole records, in order.

    The hub verified the hashes at the upload, so this does not. Uncompressed chunks are views of
    ``records``, without a copy.

    Raises:
        BlobCorrupt: these are no whole records, which only a damaged store causes.
    """
    view = memoryview(records)
    unpack = Unpacker().unpack
    at = 0
    while at < len(view):
        try:
            if len(view) - at < HEADER_BYTES:
                raise ValueError("there is no whole header")
            data, scheme, size = read_header(view, at)
            at += HEADER_BYTES
            chunk = unpack(scheme, view[at : at + data], size)
        except ValueError as fault:
            raise BlobCorrupt(expected="whole records of a xorb", got=f"others: {fault}") from fault
        at += data
        yield chunk
