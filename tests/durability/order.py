"""The order of a durable write, checked in a trace of system calls.

bytes written → file synced → renamed → folder synced → COMMIT synced → response sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.durability.trace import WRITES, Call, Window


@dataclass(frozen=True)
class Order:
    """The calls of one request, for a hub whose data is in ``data``."""

    window: Window
    data: Path

    def commit(self) -> Call:
        """Return the first write of the transaction that the response waited for.

        It is the last one on the disk before the response. A background job may commit in between,
        which is a rare coincidence on an idle hub: a response sent too early would show in most
        windows.

        Raises:
            AssertionError: the hub responded before the log of the database was on the disk.
        """
        wal = f"{self.data}/hubstead.db-wal"
        writes = self.window.find(*WRITES, where=lambda call: call.path == wal and _is_frame(call))
        assert writes, "nothing was written to the database"
        durable = [call for call in writes if self.window.synced(wal, call, self.window.response)]
        assert durable, "the answer was sent before the transaction was on the disk"
        first = durable[-1]
        for write in reversed(durable):
            if self.window.synced(wal, write, first):
                break
            first = write
        return first

    def names_given(self) -> list[Call]:
        """Return the calls that gave a file or folder of content its final name."""
        return self.window.find(
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            where=lambda call: self._is_content(call.target),
        )

    def _is_content(self, path: str) -> bool:
        inside = path.startswith((f"{self.data}/git/", f"{self.data}/blobs/"))
        return inside and "/tmp_" not in path and "/incoming/" not in path

    def check(self) -> list[str]:
        """Check the whole order; return the final names, relative to the data folder.

        Raises:
            AssertionError: a call came too early.
        """
        commit = self.commit()
        renames = self.names_given()
        for call in renames:
            self._check_bytes(call)
            assert self.window.synced(call.folder, call, commit), (
                f"COMMIT came before {call.folder} was synced"
            )
        for mkdir in self.window.find("mkdir", "mkdirat"):
            self._check_folder(mkdir, renames, commit)
        return [call.target.removeprefix(f"{self.data}/") for call in renames]

    def _check_bytes(self, named: Call) -> None:
        """Check that every byte below the name was synced before the call that gave the name."""
        for write in self._last_writes(named):
            assert self.window.synced(write.path, write, named), (
                f"{named.target} got its name before {write.path} was synced"
            )

    def _last_writes(self, named: Call) -> list[Call]:
        last = {}
        for write in self.window.find(*WRITES):
            below = write.path == named.path or write.path.startswith(f"{named.path}/")
            if below and write.begin < named.begin:
                last[write.path] = write
        return list(last.values())

    def _check_folder(self, mkdir: Call, renames: list[Call], commit: Call) -> None:
        """Check that a new folder is in a synced folder, under its final name."""
        if not mkdir.path.startswith((f"{self.data}/git/", f"{self.data}/blobs/")):
            return
        if any(call.path == mkdir.path for call in renames):
            return  # renamed, and checked under its final name
        assert self.window.synced(mkdir.folder, mkdir, commit), (
            f"COMMIT came before {mkdir.folder} was synced, the parent of the new {mkdir.path}"
        )


def _is_frame(call: Call) -> bool:
    """Distinguish frames from the header of the log, which has 32 bytes and its own sync."""
    return not call.flags.endswith(", 32, 0")
