"""The order that makes a write durable, checked in a trace.

bytes written → file synced → name given → folder synced → COMMIT synced → answer sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.durability.trace import WRITES, Call, Window


@dataclass(frozen=True)
class Order:
    """What a window shows, for a hub whose data is in ``data``."""

    window: Window
    data: Path

    def commit(self) -> Call:
        """Return the first write of the transaction that the answer waited for.

        That is the last one on the disk before the answer. Work in the background may have one of
        its own in between, which on a hub almost at rest is no more than a rare coincidence: an
        answer sent too early would show in most of the windows.

        Raises:
            AssertionError: the answer was sent before the log of the database was on the disk.
        """
        wal = f"{self.data}/hubstead.db-wal"
        writes = self.window.find(*WRITES, where=lambda call: call.path == wal and _is_frame(call))
        assert writes, "nothing was written to the database"
        durable = [call for call in writes if self.window.synced(wal, call, self.window.answer)]
        assert durable, "the answer was sent before the transaction was on the disk"
        first = durable[-1]
        for write in reversed(durable):
            if self.window.synced(wal, write, first):
                break
            first = write
        return first

    def names_given(self) -> list[Call]:
        """Return the calls that gave a file or folder of content its name, for good."""
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
        """Check the whole order; return the names that were given, relative to the data folder.

        Raises:
            AssertionError: with what came too early.
        """
        commit = self.commit()
        given = self.names_given()
        for call in given:
            self._check_bytes(call)
            assert self.window.synced(call.folder, call, commit), (
                f"COMMIT came before {call.folder} was synced"
            )
        for made in self.window.find("mkdir", "mkdirat"):
            self._check_folder(made, given, commit)
        return [call.target.removeprefix(f"{self.data}/") for call in given]

    def _check_bytes(self, named: Call) -> None:
        """Every byte below the name was synced before the name was given."""
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

    def _check_folder(self, made: Call, given: list[Call], commit: Call) -> None:
        """A new folder is in a synced folder, under the name it has in the end."""
        if not made.path.startswith((f"{self.data}/git/", f"{self.data}/blobs/")):
            return
        if any(call.path == made.path for call in given):
            return  # renamed: looked at there
        assert self.window.synced(made.folder, made, commit), (
            f"COMMIT came before {made.folder} was synced, where {made.path} was made"
        )


def _is_frame(call: Call) -> bool:
    """Tell frames from the header of the log, which has 32 bytes and a sync of its own."""
    return not call.flags.endswith(", 32, 0")
