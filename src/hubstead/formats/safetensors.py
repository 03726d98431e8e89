"""The header of a safetensors file: 8 bytes with its length, then JSON about the tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from hubstead.formats.header import HeaderBytes, IncompleteHeader, UnreadableHeader

#: Bytes of the longest header that is read; the format itself allows 100 MB.
MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 131_072
#: Dimensions of a tensor, and digits of its size, that are more than any real one has.
MAX_DIMENSIONS = 64
MAX_ELEMENTS = 1 << 62

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
#: Bits of an element by type. Tensors of another type are counted, and their size is not checked.
_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


class SafetensorsTensor(msgspec.Struct, frozen=True):
    """A tensor: the type of its elements, its dimensions, and its place behind the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class SafetensorsHeader:
    """The tensors of a file by name, in its order, and its free text fields."""

    tensors: Mapping[str, SafetensorsTensor]
    metadata: Mapping[str, str]

    def parameters(self) -> dict[str, int]:
        """Return the number of elements by type, the most frequent type first."""
        counts: dict[str, int] = {}
        for tensor in self.tensors.values():
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.elements
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


_entries = msgspec.json.Decoder(dict[str, msgspec.Raw])
_tensor = msgspec.json.Decoder(SafetensorsTensor)
_metadata = msgspec.json.Decoder(dict[str, str])


def parse_safetensors(data: HeaderBytes, size: int) -> SafetensorsHeader:
    """Parse the header of a safetensors file.

    Args:
        data: The first bytes of the file.
        size: The size of the whole file in bytes.

    Raises:
        IncompleteHeader: the header is longer than ``data``.
        UnreadableHeader: the file is no safetensors file, or a tensor lies outside of it.
    """
    if len(data) < _LENGTH_BYTES:
        raise IncompleteHeader(_LENGTH_BYTES)
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    end = _LENGTH_BYTES + length
    if end > size or length > MAX_HEADER_BYTES:
        raise UnreadableHeader(f"a header of {length} bytes is longer than the file or the limit")
    if end > len(data):
        raise IncompleteHeader(end)
    try:
        entries = _entries.decode(memoryview(data)[_LENGTH_BYTES:end])
        if len(entries) > MAX_TENSORS:
            raise UnreadableHeader(f"{len(entries)} tensors are more than {MAX_TENSORS}")
        metadata = _metadata.decode(entries.pop(_METADATA, b"{}"))
        tensors = {name: _tensor.decode(raw) for name, raw in entries.items()}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableHeader(f"its header is not what it should be: {error}") from None
    for name, tensor in tensors.items():
        _check(name, tensor, size - end)
    return SafetensorsHeader(tensors, metadata)


def _check(name: str, tensor: SafetensorsTensor, data_bytes: int) -> None:
    start, end = tensor.data_offsets
    bits = _BITS.get(tensor.dtype)
    if len(tensor.shape) > MAX_DIMENSIONS or any(side < 0 for side in tensor.shape):
        raise UnreadableHeader(f"the tensor {name[:80]!r} has no valid shape")
    if not (0 <= start <= end <= data_bytes and 1 <= len(tensor.dtype) <= 32):
        raise UnreadableHeader(f"the tensor {name[:80]!r} lies outside of the file")
    wrong = bits is not None and tensor.elements * bits != (end - start) * 8
    if wrong or tensor.elements > MAX_ELEMENTS:
        raise UnreadableHeader(f"the tensor {name[:80]!r} has another size than its shape")
