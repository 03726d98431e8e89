"""The paths of pushed trees, which no reader of this process can open: one git reads them."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Iterable, Iterator

from hubstead.gitstore.errors import ObjectMissing
from hubstead.gitstore.tree_rows import is_tree, parse_rows

#: Requests without a response. They fit into one pipe, so that neither end waits for the other.
_MAX_REQUESTS = 512
_READ_BYTES = 1 << 18


class TreePaths:
    """Walks trees through ``git cat-file --batch``, a folder's content at one path once.

    Many versions of a tree cost little more than their differences.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests = process.stdin
        self._responses = open(process.stdout.fileno(), "rb", _READ_BYTES, closefd=False)  # noqa: SIM115
        self._pending: deque[tuple[str, bytes]] = deque()  # (tree, path with a slash at its end)
        self._requested: deque[tuple[str, bytes]] = deque()

    def below(self, roots: Iterable[str]) -> Iterator[bytes]:
        """Yield the path of every file and folder of some trees.

        Raises:
            ObjectMissing: a tree is missing or damaged, or git failed.
        """
        self._pending.extend((root, b"") for root in dict.fromkeys(roots))
        known = set(self._pending)
        while self._pending or self._requested:
            self._request()
            oid, folder = self._requested.popleft()
            for mode, name, child in self._rows(oid):
                yield folder + name
                below = child.hex(), b"%b%b/" % (folder, name)
                if is_tree(mode) and below not in known:
                    known.add(below)
                    self._pending.append(below)

    def _request(self) -> None:
        """Send requests for pending trees once half of those before have their responses."""
        if not self._pending or len(self._requested) > _MAX_REQUESTS // 2:
            return
        count = min(len(self._pending), _MAX_REQUESTS - len(self._requested))
        batch = [self._pending.popleft() for _ in range(count)]
        self._requested.extend(batch)
        left = memoryview(b"".join(b"%b\n" % oid.encode() for oid, _ in batch))
        try:
            while left:
                left = left[self._requests.write(left) :]
        except BrokenPipeError:
            raise ObjectMissing(oid=batch[0][0]) from None

    def _rows(self, oid: str) -> list[tuple[bytes, bytes, bytes]]:
        header = self._responses.readline().split()
        if len(header) != len(("oid", "type", "size")) or header[1] != b"tree":
            raise ObjectMissing(oid=oid)
        size = int(header[2])
        try:
            return parse_rows(self._responses.read(size + 1)[:size])
        except ValueError:
            raise ObjectMissing(oid=oid) from None
