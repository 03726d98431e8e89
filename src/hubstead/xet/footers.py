"""The footer that clients before hf_xet 1.1.4 append to a xorb.

It repeats the records, so the hub verifies its form and discards it.
"""

from __future__ import annotations

import struct

from hubstead.xet.hashes import HASH_BYTES

#: The beginning of a footer. Its first byte is the version of no record.
MARKER = b"XETBLOB"

# Version 0: marker, version, name, count; an end and a hash per chunk; 16 spare bytes, length.
_V0 = struct.Struct(f"<7sB{HASH_BYTES}sI")
# Version 1: the same, then a section of hashes (its marker, version and count begin it), one of
# ends, then count, distances, 16 spare bytes, length.
_HASH_SECTION = struct.Struct(f"<7sB{HASH_BYTES}s7sBI")
_LAST = struct.Struct("<I")
_FIXED_BYTES = {0: _V0.size + 16 + _LAST.size, 1: 96}
_ENTRY_BYTES = {0: HASH_BYTES + 4, 1: HASH_BYTES + 4 + 4}


def footer_bytes(version: int, chunks: int) -> int:
    """Return the length of a footer in bytes."""
    return _FIXED_BYTES[version] + chunks * _ENTRY_BYTES[version]


def check_footer(footer: bytes | bytearray, name: bytes, chunks: int) -> None:
    """Verify the form of the footer of the xorb ``name`` (raw) with ``chunks`` chunks.

    Raises:
        ValueError: the footer is wrong; the message gives the reason.
    """
    if len(footer) < _V0.size:
        raise ValueError("its footer is not whole")
    version = footer[len(MARKER)]
    if version not in _FIXED_BYTES:
        raise ValueError(f"there is no version {version} of footers")
    if len(footer) != footer_bytes(version, chunks):
        raise ValueError("its footer is not as long as its chunks ask for")
    if version == 0:
        stated, count = _V0.unpack_from(footer)[2:]
    else:
        stated, _, _, count = _HASH_SECTION.unpack_from(footer)[2:]
    length = _LAST.unpack_from(footer, len(footer) - _LAST.size)[0]
    if (stated, count, length) != (name, chunks, len(footer) - _LAST.size):
        raise ValueError("its footer is another xorb's")
