"""The footer that clients before hf_xet 1.1.4 append to a xorb.

It repeats what the records say, so it is looked at, not believed, and not kept.
"""

from __future__ import annotations

import struct

from hubstead.xet.hashes import HASH_BYTES

#: What a footer begins with. Its first byte is the version of no record.
MARKER = b"XETBLOB"

# Version 0: marker, version, name, count; an end and a hash a chunk; 16 spare bytes, length.
_V0 = struct.Struct(f"<7sB{HASH_BYTES}sI")
# Version 1: the same, then a section of hashes (its marker, version and count begin it), one of
# ends, then count, distances, 16 spare bytes, length.
_HASH_SECTION = struct.Struct(f"<7sB{HASH_BYTES}s7sBI")
_LAST = struct.Struct("<I")
_FIXED_BYTES = {0: _V0.size + 16 + _LAST.size, 1: 96}
_ENTRY_BYTES = {0: HASH_BYTES + 4, 1: HASH_BYTES + 4 + 4}


def footer_bytes(version: int, chunks: int) -> int:
    """Return how long the footer of a xorb is."""
    return _FIXED_BYTES[version] + chunks * _ENTRY_BYTES[version]


def check_footer(footer: bytes | bytearray, name: bytes, chunks: int) -> None:
    """See that ``footer`` has the form of one for the xorb ``name`` (raw) of so many chunks.

    Raises:
        ValueError: saying what is wrong.
    """
    if len(footer) < _V0.size:
        raise ValueError("its footer is not whole")
    version = footer[len(MARKER)]
    if version not in _FIXED_BYTES:
        raise ValueError(f"there is no version {version} of footers")
    if len(footer) != footer_bytes(version, chunks):
        raise ValueError("its footer is not as long as its chunks ask for")
    if version == 0:
        told, count = _V0.unpack_from(footer)[2:]
    else:
        told, _, _, count = _HASH_SECTION.unpack_from(footer)[2:]
    length = _LAST.unpack_from(footer, len(footer) - _LAST.size)[0]
    if (told, count, length) != (name, chunks, len(footer) - _LAST.size):
        raise ValueError("its footer is another xorb's")
