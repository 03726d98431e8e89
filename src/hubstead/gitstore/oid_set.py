"""Immutable sets of object ids in 20 bytes each, which also answer by prefix."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

_SIZE = 20
#: Ids added since the last sort. More of them are sorted in, which copies the whole set.
_MAX_UNSORTED = 1024


class _Ids:
    """Sorted ids in one string of bytes."""

    def __init__(self, joined: bytes) -> None:
        self.joined = joined

    def __len__(self) -> int:
        return len(self.joined) // _SIZE

    def __getitem__(self, at: int) -> bytes:
        return self.joined[at * _SIZE : (at + 1) * _SIZE]

    def __iter__(self) -> Iterator[bytes]:
        return (self[at] for at in range(len(self)))


class OidSet:
    """An immutable set of object ids; a union shares the memory of the set that it extends."""

    def __init__(self, oids: Iterable[bytes] = ()) -> None:
        self._sorted = _Ids(b"".join(sorted(oids)))
        self._unsorted: frozenset[bytes] = frozenset()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._unsorted)

    def __contains__(self, oid: str) -> bool:
        raw = bytes.fromhex(oid)
        if raw in self._unsorted:
            return True
        at = bisect_left(self._sorted, raw)
        return at < len(self._sorted) and self._sorted[at] == raw

    def union(self, oids: Iterable[bytes]) -> OidSet:
        """Return the set with these raw ids of 20 bytes added."""
        unsorted = self._unsorted.union(oids)
        if len(unsorted) > _MAX_UNSORTED:
            return OidSet([*self._sorted, *unsorted])
        result = OidSet()
        result._sorted, result._unsorted = self._sorted, unsorted
        return result

    def with_prefix(self, prefix: str) -> list[str]:
        """Return the ids, in hex, that begin with these hex digits."""
        lowest = bytes.fromhex(prefix.ljust(2 * _SIZE, "0"))
        matches = [raw.hex() for raw in self._unsorted if raw.hex().startswith(prefix)]
        for at in range(bisect_left(self._sorted, lowest), len(self._sorted)):
            oid = self._sorted[at].hex()
            if not oid.startswith(prefix):
                break
            matches.append(oid)
        return matches
