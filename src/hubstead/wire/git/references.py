"""The refs of a repository in the forms of git's protocol, read from the database."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from hubstead.commits import HEADS, Ref, list_refs
from hubstead.ids import ZERO_OID
from hubstead.wire import Request
from hubstead.wire.git.packets import FLUSH, packet


class References:
    """The refs of a repository in git's order; HEAD stands for the default branch."""

    def __init__(self, rows: Iterable[Ref], default_branch: str) -> None:
        self.rows = sorted(rows, key=lambda row: row.name.encode())
        self.head = HEADS + default_branch
        self.head_oid = next((row.oid for row in self.rows if row.name == self.head), None)

    @classmethod
    async def of(cls, request: Request) -> References:
        """Load the refs of the repository of a request."""
        rows = await list_refs(request.hub.db, request.repo.pk)
        return cls(rows, request.repo.default_branch)

    @property
    def by_name(self) -> dict[str, tuple[str, str]]:
        """Object and the commit behind it, by full name."""
        return {row.name: (row.oid, row.target) for row in self.rows}

    def classic(self, capabilities: Iterable[str], *, head: bool, peeled: bool) -> bytes:
        """Return the advertisement of protocol v0: every ref, capabilities behind the first."""
        named = [("HEAD", self.head_oid)] if head and self.head_oid else []
        for row in self.rows:
            named.append((row.name, row.oid))
            if peeled and row.target != row.oid:
                named.append((f"{row.name}^{{}}", row.target))
        offered = " ".join(capabilities)
        if not named:
            return packet(f"{ZERO_OID} capabilities^{{}}\0{offered}\n") + FLUSH
        first, *others = named
        packets = [packet(f"{first[1]} {first[0]}\0{offered}\n")]
        packets += [packet(f"{oid} {name}\n") for name, oid in others]
        return b"".join(packets) + FLUSH

    def listed(
        self, prefixes: list[str], *, peel: bool, symrefs: bool, unborn: bool
    ) -> Iterator[str]:
        """Yield the lines of ``ls-refs`` (gitprotocol-v2)."""
        wanted = Prefixes(prefixes)
        if "HEAD" in wanted:
            target = f" symref-target:{self.head}" if symrefs else ""
            if self.head_oid:
                yield f"{self.head_oid} HEAD{target}"
            elif unborn and symrefs:
                yield f"unborn HEAD{target}"
        for row in self.rows:
            if row.name in wanted:
                shown = f" peeled:{row.target}" if peel and row.target != row.oid else ""
                yield f"{row.oid} {row.name}{shown}"


class Prefixes:
    """The names that begin with one of some prefixes; without prefixes, all names.

    A fetch of many refs by name sends several prefixes for each, so that a comparison of each name
    with each prefix would take time by the square.
    """

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._sorted: list[str] = []
        for prefix in sorted(prefixes):
            if not self._sorted or not prefix.startswith(self._sorted[-1]):
                self._sorted.append(prefix)

    def __contains__(self, name: str) -> bool:
        """Tell whether ``name`` begins with a prefix; only the last one not above it can be it."""
        index = bisect_right(self._sorted, name)
        return not self._sorted or (index > 0 and name.startswith(self._sorted[index - 1]))
