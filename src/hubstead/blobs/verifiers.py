"""Verifiers check the bytes of a blob.

The room that owns a kind of blob has its verifier; the verifiers here need only the bytes.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from hubstead.errors import BlobCorrupt

_SHA1_BYTES = 20
_PACK_LEAST_BYTES = 12 + _SHA1_BYTES


class Verifier(Protocol):
    """Reads all bytes of a blob once, in order, then accepts or rejects them."""

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> None:
        """Accept the bytes.

        Raises:
            BlobCorrupt: if the bytes do not match the name of the blob.
        """
        ...


class Sha256Verifier:
    """Accepts exactly ``size`` bytes (any number if None) with the sha256 ``expected`` in hex."""

    def __init__(self, expected: str, size: int | None = None) -> None:
        self._expected = expected
        self._size = size
        self._seen = 0
        self._hash = hashlib.sha256()

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            BlobCorrupt: as soon as there are more than ``size``.
        """
        self._seen += len(chunk)
        if self._size is not None and self._seen > self._size:
            raise BlobCorrupt(expected=f"{self._size} bytes", got="more")
        self._hash.update(chunk)

    def finish(self) -> None:
        """Compare the digest."""
        if self._size is not None and self._seen != self._size:
            raise BlobCorrupt(expected=f"{self._size} bytes", got=f"{self._seen} bytes")
        got = self._hash.hexdigest()
        if got != self._expected:
            raise BlobCorrupt(expected=f"sha256:{self._expected}", got=f"sha256:{got}")


class PackVerifier:
    """Accepts a git pack that ends with the sha1 of all before it (gitformat-pack).

    Pass ``checksum`` in hex if the pack is named by that trailer, as git names new packs.
    """

    def __init__(self, checksum: str | None = None) -> None:
        self._checksum = checksum
        self._hash = hashlib.sha1(usedforsecurity=False)
        self._head = b""
        self._tail = b""
        self._seen = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; the hash excludes the last 20 so far."""
        self._seen += len(chunk)
        if len(self._head) < 4:
            self._head += bytes(chunk[: 4 - len(self._head)])
        if len(chunk) >= _SHA1_BYTES:
            self._hash.update(self._tail)
            self._hash.update(chunk[:-_SHA1_BYTES])
            self._tail = bytes(chunk[-_SHA1_BYTES:])
            return
        joined = self._tail + bytes(chunk)
        self._hash.update(joined[:-_SHA1_BYTES])
        self._tail = joined[-_SHA1_BYTES:]

    def finish(self) -> None:
        """Compare the digest."""
        if self._head != b"PACK" or self._seen < _PACK_LEAST_BYTES:
            raise BlobCorrupt(expected="a git pack", got=f"{self._seen} other bytes")
        got = self._hash.digest()
        if got != self._tail:
            raise BlobCorrupt(expected=f"sha1:{self._tail.hex()}", got=f"sha1:{got.hex()}")
        if self._checksum is not None and got.hex() != self._checksum:
            raise BlobCorrupt(expected=f"sha1:{self._checksum}", got=f"sha1:{got.hex()}")
